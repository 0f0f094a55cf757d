"""Channel and spatial attention together. What is stated of each mechanism, without torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial, Width
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.mixed"
ACT = ("act_layer",)  # timm's builders hand one to every attention; these have none to choose

ATTENTIONS = (
    AttentionSpec(
        name="cbam_channel",
        target=f"{PACKAGE}.cbam:ChannelGate",
        family="channel",
        insertion=Insertion(identity="exact", default_form="residual"),
        options=OptionNames(width=Width(divisor=1)),
        provenance=Provenance(
            paper=papers.CBAM,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=((r"(^|\.)mlp\.1\.", r"\1fc1."), (r"(^|\.)mlp\.3\.", r"\1fc2.")),
            notes="The channel half of cbam.",
        ),
    ),
    AttentionSpec(
        name="cbam_spatial",
        target=f"{PACKAGE}.cbam:SpatialGate",
        family="spatial",
        insertion=Insertion(identity="exact"),
        options=OptionNames(fixed={"bias": False}, ignored=ACT),
        provenance=Provenance(
            paper=papers.CBAM,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=((r"(^|\.)spatial\.(conv|bn)\.", r"\1conv.\2."),),
            notes=(
                "The spatial half of cbam. Its batch norm is in the authors' code, not in the "
                "paper."
            ),
        ),
    ),
    AttentionSpec(
        name="cbam",
        target=f"{PACKAGE}.cbam:Cbam",
        family="mixed",
        insertion=Insertion(identity="exact", default_form="residual"),
        options=OptionNames(width=Width(divisor=1)),
        provenance=Provenance(
            paper=papers.CBAM,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=(
                (r"(^|\.)ChannelGate\.mlp\.1\.", r"\1channel.fc1."),
                (r"(^|\.)ChannelGate\.mlp\.3\.", r"\1channel.fc2."),
                (r"(^|\.)SpatialGate\.spatial\.", r"\1spatial.conv."),
            ),
            notes=(
                "The code has biases in the MLP and a batch norm after the 7x7 convolution; the"
                " paper's equations have neither. timm stacks the mean before the maximum."
            ),
        ),
    ),
    AttentionSpec(
        name="bam",
        aliases=("bottleneck_attention_module",),
        target=f"{PACKAGE}.bam:Bam",
        family="mixed",
        insertion=Insertion(placement="between_stages", identity="exact"),
        options=OptionNames(
            fixed={"bias": True, "norm": "batch"}, ignored=ACT, width=Width(divisor=1)
        ),
        provenance=Provenance(
            paper=papers.BAM,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=(
                (r"(^|\.)channel_att\.gate_c\.gate_c_", r"\1channel."),
                (r"(^|\.)spatial_att\.gate_s\.gate_s_", r"\1spatial."),
            ),
            notes=(
                "The code multiplies the two branches, the paper adds them; the code norms "
                "every hidden layer, the paper the end of each branch."
            ),
        ),
        trial=Trial(
            dead_parameters=(
                r"(^|\.)channel\.fc_(\d+|final)\.bias$",
                r"(^|\.)spatial\.conv_(reduce0|di_\d+|final)\.bias$",
            )
        ),
    ),
    AttentionSpec(
        name="simam",
        target=f"{PACKAGE}.simam:SimAM",
        family="mixed",
        options=OptionNames(ignored=(*ACT, "device", "dtype")),
        provenance=Provenance(
            paper=papers.SIMAM,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            notes="The code divides the variance by HW - 1; the paper's equation 5 by HW.",
        ),
    ),
    AttentionSpec(
        name="coordinate",
        aliases=("coord", "coordatt"),
        target=f"{PACKAGE}.coordinate:CoordinateAttention",
        family="mixed",
        insertion=Insertion(identity="exact"),
        options=OptionNames(ignored=ACT, width=Width(minimum=8)),
        provenance=Provenance(
            paper=papers.COORDINATE,
            license="MIT",
            reference="authors",
            verified="cases",
            notes="timm's layer has no biases and another hidden width: variant='timm'.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)conv1\.bias$",)),
    ),
    AttentionSpec(
        name="triplet",
        aliases=("triplet_attention",),
        target=f"{PACKAGE}.triplet:TripletAttention",
        family="mixed",
        insertion=Insertion(identity="exact"),
        options=OptionNames(fixed={"bias": False}, ignored=ACT),
        provenance=Provenance(
            paper=papers.TRIPLET,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=(
                (r"(^|\.)(cw|hc|hw)\.conv\.(conv|bn)\.", r"\1\2.\3."),
                (r"(^|\.)ChannelGateH\.spatial\.", r"\1cw."),
                (r"(^|\.)ChannelGateW\.spatial\.", r"\1hc."),
                (r"(^|\.)SpatialGate\.spatial\.", r"\1hw."),
            ),
            notes="Computes what the paper says; the maximum comes before the mean.",
        ),
    ),
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
)
