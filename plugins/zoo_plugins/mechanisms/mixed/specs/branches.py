"""Masks and attention of branches, groups and trunks. No torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial, Width
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.mixed"
ACT = ("act_layer",)  # timm's builders hand one to every attention; these have none to choose

ATTENTIONS = (
    AttentionSpec(
        name="shuffle_attention",
        aliases=("sa_net", "sanet"),
        target=f"{PACKAGE}.shuffle_attention:ShuffleAttention",
        family="mixed",
        options=OptionNames(ignored=ACT),
        provenance=Provenance(
            paper=papers.SHUFFLE_ATTENTION,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            notes=("64 groups in the authors' networks; here the nearest number that divides."),
        ),
    ),
    AttentionSpec(
        name="polarized_parallel",
        aliases=("psa_p",),
        target=f"{PACKAGE}.polarized:PolarizedParallel",
        family="mixed",
        options=OptionNames(ignored=ACT),
        provenance=Provenance(
            paper=papers.POLARIZED,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            notes=(
                "The code has the spatial softmax over positions after the product, the paper "
                "over channels before it; the code's channel branch has no layer norm."
            ),
        ),
    ),
    AttentionSpec(
        name="polarized_sequential",
        aliases=("psa_s", "polarized"),
        target=f"{PACKAGE}.polarized:PolarizedSequential",
        family="mixed",
        insertion=Insertion(identity="exact", default_form="residual"),
        options=OptionNames(ignored=ACT),
        provenance=Provenance(
            paper=papers.POLARIZED,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            notes=(
                "The code has the spatial softmax over the positions of the values, the paper "
                "over the channels of the query; the layer norm is inside the channel branch."
            ),
        ),
    ),
    AttentionSpec(
        name="cot",
        aliases=("contextual_transformer",),
        target=f"{PACKAGE}.cot:ContextualTransformer",
        family="mixed",
        contract="map_channels",
        insertion=Insertion(role="replace_conv"),
        options=OptionNames(
            fixed={"radix": 2, "norm": "batch"},
            ignored=("groups",),  # of the convolution that is replaced
            width=Width(minimum=32, factor=2),
        ),
        provenance=Provenance(
            paper=papers.COT,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            notes=("No softmax over the taps; static and dynamic context are fused by attention."),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)se\.0\.bias$",)),
    ),
    AttentionSpec(
        name="harmonious",
        aliases=("harmonious_attention",),
        target=f"{PACKAGE}.harmonious:Harmonious",
        family="mixed",
        insertion=Insertion(identity="exact"),
        options=OptionNames(fixed={"bias": True, "norm": "batch"}, ignored=ACT, width=Width()),
        provenance=Provenance(
            paper=papers.HARMONIOUS,
            license="MIT",
            reference="independent",
            verified="cases",
            reference_call=f"{PACKAGE}.harmonious:reference_call",
            notes=(
                "The reference (torchreid) ends the attention in a ReLU before the sigmoid, so "
                "that it is never below one half. Its sampling follows today's "
                "align_corners=False."
            ),
        ),
        trial=Trial(
            dead_parameters=(
                r"(^|\.)conv\.bias$",
                r"(^|\.)spatial_attn\.conv2\.conv\.weight$",
                r"(^|\.)hard_attn\.fc\.",
            )
        ),
    ),
    AttentionSpec(
        name="harmonious_regions",
        aliases=("hard_regional_attention",),
        target=f"{PACKAGE}.harmonious_regions:HarmoniousRegions",
        family="mixed",
        contract="map_pair",
        insertion=Insertion(role="none"),
        provenance=Provenance(
            paper=papers.HARMONIOUS,
            license="MIT",
            reference="independent",
            verified="cases",
            notes="The hard half of harmonious, recorded in the cases of that name.",
        ),
    ),
    AttentionSpec(
        name="attention_branch",
        aliases=("abn",),
        target=f"{PACKAGE}.attention_branch:AttentionBranch",
        family="mixed",
        insertion=Insertion(
            placement="between_stages", default_sites="last_stage", identity="exact"
        ),
        options=OptionNames(ignored=ACT),
        provenance=Provenance(
            paper=papers.ATTENTION_BRANCH,
            license="MIT",
            reference="authors",
            verified="cases",
            reference_call=f"{PACKAGE}.attention_branch:reference_call",
            notes="The code merges the class maps by a 3x3 convolution.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)bn_att\.bias$", r"(^|\.)att_conv2\.weight$")),
    ),
    AttentionSpec(
        name="dual_attention",
        aliases=("danet",),
        target=f"{PACKAGE}.dual_attention:DualAttention",
        family="mixed",
        contract="map_channels",
        insertion=Insertion(identity="exact", quadratic=True),
        options=OptionNames(
            fixed={"norm": "batch"},
            ignored=ACT,
            width=Width(option="query_channels", of=f"{PACKAGE}.dual_attention:inner_channels"),
        ),
        provenance=Provenance(
            paper=papers.DANET,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=((r"(^|\.)sa\.(query|key|value)_conv\.", r"\1sa.\2."),),
            reference_call=f"{PACKAGE}.dual_attention:reference_call",
            notes=(
                "With num_classes or inter_channels it is DANet's head; without, the sum of "
                "both attentions on the map itself. The code attends to the least similar "
                "channels."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)sa\.key\.bias$",)),
    ),
    AttentionSpec(
        name="residual_mask_mixed",
        aliases=("f1",),
        target=f"{PACKAGE}.residual_mask:ResidualMaskMixed",
        family="mixed",
        insertion=Insertion(identity="exact"),
        options=OptionNames(ignored=ACT, width=Width()),
        provenance=Provenance(
            paper=papers.RESIDUAL_ATTENTION,
            reference="equations",
            verified="equations",
            notes=(
                "The mask branch is a small one: one pooling, one bottleneck unit. The paper's "
                "choice of the three."
            ),
        ),
    ),
    AttentionSpec(
        name="residual_mask_channel",
        aliases=("f2",),
        target=f"{PACKAGE}.residual_mask:ResidualMaskChannel",
        family="mixed",
        insertion=Insertion(identity="exact"),
        options=OptionNames(ignored=ACT, width=Width()),
        provenance=Provenance(
            paper=papers.RESIDUAL_ATTENTION,
            reference="equations",
            verified="equations",
            notes=(
                "The mask branch is a small one: one pooling, one bottleneck unit. It starts as"
                " (1 + C^-1/2) x."
            ),
        ),
    ),
    AttentionSpec(
        name="residual_mask_spatial",
        aliases=("f3",),
        target=f"{PACKAGE}.residual_mask:ResidualMaskSpatial",
        family="mixed",
        options=OptionNames(ignored=ACT, width=Width()),
        provenance=Provenance(
            paper=papers.RESIDUAL_ATTENTION,
            reference="equations",
            verified="equations",
            notes=(
                "The mask branch is a small one: one pooling, one bottleneck unit. Its norm "
                "would blow up the first step from zero."
            ),
        ),
    ),
    AttentionSpec(
        name="s2_attention",
        aliases=("s2attention",),
        target=f"{PACKAGE}.s2_attention:S2Attention",
        family="mixed",
        options=OptionNames(fixed={"num_paths": 3}, ignored=ACT),
        provenance=Provenance(
            paper=papers.S2_MLP,
            license="MIT (the port)",
            reference="equations",
            verified="cases",
            notes=(
                "The authors published no code. Their pseudo-code and its ports shift in place "
                "between views that overlap, which smears a border; here is the shift that the "
                "paper describes."
            ),
        ),
    ),
)
