"""Channels of several branches, groups or orders, and relations between channels. No torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial, Width
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.channel"
ACT = ("act_layer",)  # timm's builders hand one to every attention; these have none to choose
SETTINGS = f"{PACKAGE}.settings"

ATTENTIONS = (
    AttentionSpec(
        name="selective_kernel",
        aliases=("sk", "sknet"),
        target=f"{PACKAGE}.selective_kernel:SelectiveKernel",
        family="channel",
        contract="map_channels",
        insertion=Insertion(role="replace_conv"),
        options=OptionNames(
            fixed={"bias": False, "norm": "batch"},
            width=Width(minimum=32, limit=0.9),
            read=f"{SETTINGS}:selective_kernel",
        ),
        provenance=Provenance(
            paper=papers.SELECTIVE_KERNEL,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes=(
                "timm's layer splits the input between the paths; the paper gives each all of it. "
                "In resnet50 this is a composition of 37.2 M parameters, not the paper's SKNet-50 "
                "(27.5 M), whose blocks are grouped."
            ),
        ),
    ),
    AttentionSpec(
        name="split_attention",
        aliases=("splat", "resnest"),
        target=f"{PACKAGE}.split_attention:SplitAttention",
        family="channel",
        contract="map_channels",
        insertion=Insertion(role="replace_conv"),
        options=OptionNames(
            width=Width(minimum=32, limit=0.9, of=f"{SETTINGS}:split_attention_width"),
            read=f"{SETTINGS}:split_attention",
        ),
        provenance=Provenance(
            paper=papers.SPLIT_ATTENTION,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            notes=("Radix-major, as the authors' code; the paper's figure is cardinality-major."),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)conv\.bias$", r"(^|\.)fc1\.bias$")),
    ),
    AttentionSpec(
        name="double_attention",
        aliases=("a2", "a2_net"),
        target=f"{PACKAGE}.double_attention:DoubleAttention",
        family="channel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(ignored=ACT),
        provenance=Provenance(
            paper=papers.A2_NET,
            license="none stated in the repository",
            reference="independent",
            verified="cases",
            key_map=(
                (r"(^|\.)convA\.", r"\1phi."),
                (r"(^|\.)convB\.", r"\1theta."),
                (r"(^|\.)convV\.", r"\1rho."),
                (r"(^|\.)conv_reconstruct\.", r"\1reconstruct."),
            ),
            reference_call=f"{PACKAGE}.double_attention:reference_call",
            notes=(
                "As in the paper's networks the input is added; the port returns the rest alone."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)theta\.bias$",)),
    ),
    AttentionSpec(
        name="dual_attention_channel",
        aliases=("danet_channel", "cam"),
        target=f"{PACKAGE}.dual_attention_channel:DualAttentionChannel",
        family="channel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(ignored=ACT),
        provenance=Provenance(
            paper=papers.DANET,
            license="MIT",
            reference="authors",
            verified="cases",
            notes=(
                "The code attends to the least similar channels, the paper to the most similar."
            ),
        ),
    ),
    AttentionSpec(
        name="psa",
        aliases=("pyramid_squeeze", "epsanet"),
        target=f"{PACKAGE}.psa:PyramidSqueezeAttention",
        family="channel",
        contract="map_channels",
        insertion=Insertion(role="replace_conv", keeps_norm=True),
        options=OptionNames(
            ignored=ACT,
            width=Width(divisor=1, of=f"{SETTINGS}:psa_width"),
            read=f"{SETTINGS}:psa",
        ),
        provenance=Provenance(
            paper=papers.PSA,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=(
                (r"(^|\.)conv_1\.", r"\1convs.0."),
                (r"(^|\.)conv_2\.", r"\1convs.1."),
                (r"(^|\.)conv_3\.", r"\1convs.2."),
                (r"(^|\.)conv_4\.", r"\1convs.3."),
                (r"(^|\.)conv_5\.", r"\1convs.4."),
                (r"(^|\.)conv_6\.", r"\1convs.5."),
                (r"(^|\.)conv_7\.", r"\1convs.6."),
                (r"(^|\.)conv_8\.", r"\1convs.7."),
                (r"(^|\.)conv_9\.", r"\1convs.8."),
                (r"(^|\.)se\.fc", r"\1fc"),
            ),
            notes="The code joins the scales in reverse order, the largest kernel first.",
        ),
    ),
    AttentionSpec(
        name="parnet",
        aliases=("repvgg_sse",),
        target=f"{PACKAGE}.parnet:ParNet",
        family="channel",
        options=OptionNames(fixed={"norm": "batch"}, ignored=ACT),
        provenance=Provenance(
            paper=papers.PARNET,
            license="BSD-3-Clause",
            reference="authors",
            verified="cases",
            key_map=(
                (r"(^|\.)rbr_dense\.(conv|bn)\.", r"\1\g<2>3x3."),
                (r"(^|\.)rbr_1x1\.(conv|bn)\.", r"\1\g<2>1x1."),
                (r"(^|\.)rbr_identity\.", r"\1bn_skip."),
                (r"(^|\.)se\.cvsig\.conv\.", r"\1squeeze_excite."),
            ),
            notes="The published models have SiLU, the class's default is ReLU.",
        ),
    ),
    AttentionSpec(
        name="hoga",
        aliases=("high_order_group", "autola"),
        target=f"{PACKAGE}.hoga:HighOrderGroupAttention",
        family="channel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(aliases={"order": "num_groups"}, fixed={"norm": "batch"}, ignored=ACT),
        provenance=Provenance(
            paper=papers.HOGA,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=(
                (r"(^|\.)_ops\.", r"\1gates."),
                (r"(^|\.)ChannelGate\.mlp\.1\.", r"\1channel.fc1."),
                (r"(^|\.)ChannelGate\.mlp\.3\.", r"\1channel.fc2."),
                (r"(^|\.)SpatialGate\.spatial\.", r"\1spatial.conv."),
                (r"(^|\.)channel_back\.", r"\1fuse."),
                (r"(^|\.)se\.fc", r"\1group_se.fc"),
                (r"(^|\.)se2\.fc", r"\1out_se.fc"),
                (r"(^|\.)fc\.0\.", r"\1fc1."),
                (r"(^|\.)fc\.2\.", r"\1fc2."),
            ),
            notes=(
                "The cell that the authors evaluate; its SE module on a group has no hidden "
                "channel for C < 32."
            ),
        ),
    ),
    AttentionSpec(
        name="mixed_high_order",
        aliases=("mhn",),
        target=f"{PACKAGE}.mixed_high_order:MixedHighOrder",
        family="channel",
        insertion=Insertion(identity="exact", default_form="residual"),
        options=OptionNames(aliases={"max_order": "order"}, ignored=ACT, width=Width()),
        provenance=Provenance(
            paper=papers.MIXED_HIGH_ORDER,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=f"{PACKAGE}.mixed_high_order:carry_keys",
            reference_call=f"{PACKAGE}.mixed_high_order:reference_call",
            notes="One order unless mixed=True, which joins the orders along the batch.",
        ),
    ),
    AttentionSpec(
        name="high_order",
        aliases=("hanet", "high_order_graph"),
        target=f"{PACKAGE}.high_order:HighOrder",
        family="channel",
        insertion=Insertion(identity="exact", quadratic=True),
        options=OptionNames(ignored=ACT, width=Width()),
        provenance=Provenance(
            paper=papers.HIGH_ORDER,
            license="n/a",
            reference="equations",
            verified="equations",
            notes=(
                "Of the paper the abstract could be read; the choices are stated with the module."
            ),
        ),
    ),
)
