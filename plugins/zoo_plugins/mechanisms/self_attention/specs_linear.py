"""Self-attention of one map's tokens at linear cost. Stated without torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.self_attention"
NAMES = {"sr_ratio": "reduction", "input_size": "feat_size", "proj_bias": "bias"}

ATTENTIONS = (
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
