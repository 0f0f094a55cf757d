"""Mixers of tokens whose cost grows more slowly than the square of their number. No torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.self_attention"
NAMES = {"sr_ratio": "reduction", "input_size": "feat_size", "proj_bias": "bias"}

ATTENTIONS = (
    AttentionSpec(
        name="clustered",
        aliases=("clustered_attention",),
        target=f"{PACKAGE}.clustered:ClusteredAttention",
        family="self_attention",
        contract="tokens",
        masked=True,
        insertion=Insertion(role="replace_mixer"),
        options=OptionNames(channels=("dim",)),
        provenance=Provenance(
            paper=papers.CLUSTERED,
            license="MIT",
            reference="authors",
            verified="cases",
            reference_call=f"{PACKAGE}.clustered:reference_call",
            notes=(
                "improved=True is the improved form, in which the authors' kernels pass no "
                "gradient through the share of the top keys. They draw hash planes in every "
                "call; here they are fixed in eval."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)k_norm\.bias$",)),
    ),
    AttentionSpec(
        name="smyrf",
        aliases=("smyrf_attention",),
        target=f"{PACKAGE}.smyrf:Smyrf",
        family="self_attention",
        contract="tokens",
        masked=True,
        insertion=Insertion(role="replace_mixer"),
        options=OptionNames(channels=("dim",), fixed={"clustering": "lsh"}, ignored=("r",)),
        provenance=Provenance(
            paper=papers.SMYRF,
            license="GPL-3.0",
            reference="authors",
            verified="cases",
            reference_call=f"{PACKAGE}.smyrf:reference_call",
            notes=(
                "The authors compute a division by r and drop it; logits are unscaled by default."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)k_norm\.bias$",)),
    ),
    AttentionSpec(
        name="random_feature",
        aliases=("rfa", "random_feature_attention"),
        target=f"{PACKAGE}.random_feature:RandomFeature",
        family="self_attention",
        contract="tokens",
        masked=True,
        insertion=Insertion(role="replace_mixer"),
        options=OptionNames(channels=("dim",), read=f"{PACKAGE}.random_feature:read_options"),
        provenance=Provenance(
            paper=papers.RANDOM_FEATURE,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            key_map=((r"^(attn|proj)\.", ""),),
            reference_call=f"{PACKAGE}.random_feature:reference_call",
            notes=(
                "The authors' code has a constant scale and three denominators; gated=True, of "
                "the paper, is not in it and is checked against the equations."
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
        name="focused_linear",
        aliases=("fla", "flatten_attention", "focused_linear_attention"),
        target=f"{PACKAGE}.focused_linear:FocusedLinear",
        family="self_attention",
        contract="tokens",
        insertion=Insertion(role="replace_mixer", needs_size=True),
        options=OptionNames(channels=("dim",), aliases=NAMES, ignored=("variant",)),
        provenance=Provenance(
            paper=papers.FOCUSED_LINEAR,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            key_map=f"{PACKAGE}.focused_linear:from_authors",
            notes=(
                "The paper focuses the vectors of each head, the authors' code those of all heads "
                "together. The projections of their Swin are one layer, here two as in their PVT."
            ),
        ),
    ),
    AttentionSpec(
        name="polarity_linear",
        aliases=("polaformer", "pola", "polarity_aware_linear"),
        target=f"{PACKAGE}.polarity_linear:PolarityLinear",
        family="self_attention",
        contract="tokens",
        insertion=Insertion(role="replace_mixer", needs_size=True),
        options=OptionNames(channels=("dim",), aliases=NAMES, ignored=("variant",)),
        provenance=Provenance(
            paper=papers.POLARITY_LINEAR,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=f"{PACKAGE}.polarity_linear:from_authors",
            notes=(
                "In the authors' code the coefficients of polarity multiply the local convolution "
                "too. The projections of their Swin are one layer, here two as in their PVT."
            ),
        ),
    ),
    AttentionSpec(
        name="agent",
        aliases=("agent_attention",),
        target=f"{PACKAGE}.agent:Agent",
        family="self_attention",
        contract="tokens",
        insertion=Insertion(role="replace_mixer", needs_size=True),
        options=OptionNames(
            channels=("dim",), aliases={**NAMES, "window_size": "feat_size"}, ignored=("variant",)
        ),
        provenance=Provenance(
            paper=papers.AGENT,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            key_map=f"{PACKAGE}.agent:from_authors",
            notes=(
                "The authors' layers take square maps only. The projections of their DeiT and Swin "
                "are one layer, here two as in their PVT."
            ),
        ),
    ),
)
