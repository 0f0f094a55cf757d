"""Softmax attention on tokens, or from tokens to slots and queries. No torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.self_attention"

ATTENTIONS = (
    AttentionSpec(
        name="external_multihead",
        aliases=("eamlp",),
        target=f"{PACKAGE}.external_multihead:ExternalMultiHead",
        family="self_attention",
        contract="tokens",
        insertion=Insertion(role="replace_mixer"),
        options=OptionNames(channels=("dim",), fixed={"bias": True}, ignored=("qkv_bias",)),
        provenance=Provenance(
            paper=papers.EXTERNAL,
            license="BSD-3-Clause-Clear",
            reference="authors",
            verified="cases",
            notes="qkv_bias of the authors' signature is not used in their code.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)trans_dims\.bias$", r"(^|\.)linear_0\.bias$")),
    ),
    AttentionSpec(
        name="multi_head",
        aliases=("mhsa", "multi_head_attention"),
        target=f"{PACKAGE}.multi_head:MultiHead",
        family="self_attention",
        contract="tokens",
        masked=True,
        insertion=Insertion(role="replace_mixer", identity="exact", quadratic=True),
        options=OptionNames(
            channels=("dim",),
            aliases={"kdim": "key_dim", "vdim": "value_dim"},
            ignored=("variant",),
        ),
        provenance=Provenance(
            paper=papers.MULTI_HEAD,
            license="BSD-3-Clause",
            reference="independent",
            verified="cases",
            key_map=(
                (r"(^|\.)in_proj_(weight|bias)$", r"\1qkv.\2"),
                (r"(^|\.)([qkv])_proj_weight$", r"\1qkv.\2_weight"),
                (r"(^|\.)out_proj\.", r"\1proj."),
            ),
            reference_call=f"{PACKAGE}.multi_head:reference_call",
            notes="Beside torch's layer and timm's, whose heads need not divide C.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)k_norm\.bias$",)),
    ),
    AttentionSpec(
        name="talking_heads",
        aliases=("talking_heads_attention",),
        target=f"{PACKAGE}.talking_heads:TalkingHeads",
        family="self_attention",
        contract="tokens",
        masked=True,
        insertion=Insertion(
            role="replace_mixer", identity="exact", default_form="residual", quadratic=True
        ),
        options=OptionNames(channels=("dim",)),
        provenance=Provenance(
            paper=papers.TALKING_HEADS,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes="CaiT's two mixing layers have biases; the paper's do not.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)proj_l\.bias$",)),
    ),
    AttentionSpec(
        name="emsa",
        aliases=("efficient_multi_head",),
        target=f"{PACKAGE}.emsa:EMSA",
        family="self_attention",
        contract="tokens",
        insertion=Insertion(role="replace_mixer", quadratic=True, needs_size=True),
        options=OptionNames(channels=("dim",), fixed={"bias": True}),
        provenance=Provenance(
            paper=papers.EMSA,
            license="MIT",
            reference="independent",
            verified="cases",
            key_map=((r"(^|\.)transform\.conv\.", r"\1transform."),),
            notes="Quadratic still, at 1 / reduction^2 of the cost.",
        ),
        trial=Trial(
            dead_parameters=(
                r"(^|\.)fc_[kv]\.bias$",
                r"(^|\.)sr_ln\.bias$",
                r"(^|\.)transform\.bias$",
            )
        ),
    ),
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
    AttentionSpec(
        name="slot",
        aliases=("slot_attention",),
        target=f"{PACKAGE}.slot:SlotAttention",
        family="self_attention",
        contract="set",
        masked=True,
        insertion=Insertion(role="none"),
        options=OptionNames(channels=("dim",)),
        provenance=Provenance(
            paper=papers.SLOT,
            license="Apache-2.0",
            reference="transcribed",
            verified="cases",
            key_map=(
                (r"(^|\.)norm_inputs\.", r"\1norm_input."),
                (r"(^|\.)norm_pre_ff\.", r"\1norm_mlp."),
                (r"(^|\.)project_", r"\1to_"),
                (r"(^|\.)slots_log_sigma$", r"\1slots_logsigma"),
            ),
            reference_call=f"{PACKAGE}.slot:reference_call",
            notes=("The norms' epsilon is Keras' 1e-3; the port has 1e-5 and biases in q, k, v."),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)to_q\.bias$", r"(^|\.)norm_slots\.bias$")),
    ),
)
