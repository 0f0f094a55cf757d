"""Self-attention on tokens, younger than the survey or not in it. Stated without torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.self_attention"

ATTENTIONS = (
    AttentionSpec(
        name="cross_covariance",
        aliases=("xca", "cross_covariance_attention"),
        target=f"{PACKAGE}.cross_covariance:CrossCovariance",
        family="self_attention",
        contract="tokens",
        masked=True,
        insertion=Insertion(role="replace_mixer"),
        options=OptionNames(channels=("dim",), aliases={"proj_bias": "bias"}),
        provenance=Provenance(
            paper=papers.XCIT,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            notes=(
                "The authors' code multiplies by the temperature where the paper divides; the "
                "setting qk_scale has no effect in it."
            ),
        ),
    ),
    AttentionSpec(
        name="separable",
        aliases=("separable_attention", "separable_self_attention"),
        target=f"{PACKAGE}.separable:Separable",
        family="self_attention",
        contract="tokens",
        masked=True,
        insertion=Insertion(role="replace_mixer"),
        options=OptionNames(channels=("dim",), aliases={"embed_dim": "dim"}),
        provenance=Provenance(
            paper=papers.MOBILEVIT_V2,
            license="Apple sample code license",
            reference="authors",
            verified="cases",
            key_map=((r"(^|\.)(qkv_proj|out_proj)\.block\.conv\.", r"\1\2."),),
            reference_call=f"{PACKAGE}.separable:reference_call",
            notes=(
                "The authors' layer takes patches (B, C, P, N): the method `patches`. Tokens are "
                "patches of one pixel."
            ),
        ),
    ),
    AttentionSpec(
        name="attention_free",
        aliases=("aft", "attention_free_transformer"),
        target=f"{PACKAGE}.attention_free:AttentionFree",
        family="self_attention",
        contract="tokens",
        masked=True,
        insertion=Insertion(role="replace_mixer"),
        options=OptionNames(
            channels=("dim",),
            aliases={"max_seqlen": "max_len"},
            read=f"{PACKAGE}.attention_free:read_options",
        ),
        provenance=Provenance(
            paper=papers.ATTENTION_FREE,
            license="MIT",
            reference="independent",
            verified="cases",
            notes=(
                "The authors published no code. In the port the biases of mode='local' get no "
                "gradient; here they do."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)to_k\.bias$",)),
    ),
    AttentionSpec(
        name="unit_force",
        aliases=("ufo", "unit_force_attention"),
        target=f"{PACKAGE}.unit_force:UnitForce",
        family="self_attention",
        contract="tokens",
        masked=True,
        insertion=Insertion(role="replace_mixer"),
        options=OptionNames(
            channels=("dim",),
            aliases={"d_model": "dim", "d_k": "head_dim", "d_v": "value_dim", "h": "num_heads"},
        ),
        provenance=Provenance(
            paper=papers.UFO_VIT,
            license="MIT",
            reference="independent",
            verified="cases",
            notes=(
                "The authors published no code. The axis of the second norm, the gamma that both "
                "norms share, and the biases are those of the port."
            ),
        ),
    ),
    AttentionSpec(
        name="differential",
        aliases=("differential_attention", "diff_attention"),
        target=f"{PACKAGE}.differential:Differential",
        family="self_attention",
        contract="tokens",
        masked=True,
        insertion=Insertion(role="replace_mixer", quadratic=True),
        options=OptionNames(
            channels=("dim",),
            aliases={"proj_bias": "bias"},
            ignored=("variant",),
            read=f"{PACKAGE}.differential:read_options",
        ),
        provenance=Provenance(
            paper=papers.DIFFERENTIAL,
            license="Apache-2.0; MIT (the authors)",
            reference="authors",
            verified="cases",
            key_map=f"{PACKAGE}.differential:from_authors",
            notes=(
                "The authors' code is causal and rotates queries and keys, which this does not; "
                "the paper's norm of each head is an RMSNorm in their code and timm's."
            ),
        ),
    ),
    AttentionSpec(
        name="spatial_reduction",
        aliases=("sra", "spatial_reduction_attention"),
        target=f"{PACKAGE}.spatial_reduction:SpatialReduction",
        family="self_attention",
        contract="tokens",
        insertion=Insertion(role="replace_mixer", quadratic=True, needs_size=True),
        options=OptionNames(
            channels=("dim",),
            aliases={"sr_ratio": "reduction", "input_size": "feat_size", "proj_bias": "bias"},
        ),
        provenance=Provenance(
            paper=papers.PVT,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            notes=(
                "Quadratic still, at 1 / reduction^2 of the cost. linear=True is that of PVT v2, "
                "which pools to 7 x 7 and is linear."
            ),
        ),
    ),
    AttentionSpec(
        name="gated_positional",
        aliases=("gpsa", "gated_positional_attention"),
        target=f"{PACKAGE}.gated_positional:GatedPositional",
        family="self_attention",
        contract="tokens",
        insertion=Insertion(role="replace_mixer", quadratic=True, needs_size=True),
        options=OptionNames(
            channels=("dim",),
            aliases={
                "input_size": "feat_size",
                "proj_bias": "bias",
                "use_local_init": "local_init",
            },
        ),
        provenance=Provenance(
            paper=papers.CONVIT,
            license="Apache-2.0 (repository); CC-BY-NC (header of the file)",
            reference="authors",
            verified="cases",
            notes="The authors' layer takes square maps only.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)pos_proj\.bias$",)),
    ),
    AttentionSpec(
        name="class_attention",
        aliases=("class_attn",),
        target=f"{PACKAGE}.class_attention:ClassAttention",
        family="self_attention",
        contract="set",
        masked=True,
        insertion=Insertion(role="none"),
        options=OptionNames(channels=("dim",), aliases={"proj_bias": "bias"}),
        provenance=Provenance(
            paper=papers.CAIT,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            notes="It returns the class token alone, so that it is no token mixer.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)k\.bias$",)),
    ),
    AttentionSpec(
        name="retention",
        aliases=("masa", "manhattan_attention"),
        target=f"{PACKAGE}.retention:Retention",
        family="self_attention",
        contract="tokens",
        insertion=Insertion(role="replace_mixer", quadratic=True, needs_size=True),
        options=OptionNames(
            channels=("dim",),
            aliases={"embed_dim": "dim"},
            fixed={"value_factor": 1, "qkv_bias": True, "bias": True},
        ),
        provenance=Provenance(
            paper=papers.RMT,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            key_map=((r"(^|\.)lepe\.conv\.", r"\1lepe."),),
            reference_call=f"{PACKAGE}.retention:reference_call",
            notes=(
                "The paper multiplies by the decay after the softmax, the authors' code adds its "
                "logarithm before; positions are rotated by the flattened index. Their layer "
                "takes maps (B, H, W, C): the method `on_map`."
            ),
        ),
    ),
    AttentionSpec(
        name="attention_pool",
        aliases=("attn_pool", "attention_pooling"),
        target=f"{PACKAGE}.attention_pool:attention_pool",
        family="self_attention",
        contract="head",
        insertion=Insertion(role="none"),
        options=OptionNames(
            channels=("in_features",),
            aliases={"type": "form"},
            fixed={"bias": True},
            read=f"{PACKAGE}.attention_pool:read_options",
        ),
        provenance=Provenance(
            paper=papers.CLIP,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            key_map=(
                (r"(^|\.)([qkv])_proj\.", r"\1\2."),
                (r"(^|\.)c_proj\.", r"\1proj."),
                (r"(^|\.)positional_embedding$", r"\1pos_embed"),
            ),
            notes=(
                "Beside timm's two layers; form='latent' takes tokens (B, N, C). timm's "
                "class_token works only where embed_dim is in_features."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)k\.bias$",)),
    ),
)
