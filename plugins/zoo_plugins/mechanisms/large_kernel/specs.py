"""Large kernels as attention. What is stated of each mechanism, without torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Width
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.large_kernel"
ACT = ("act_layer",)  # timm's builders hand one to every attention; these have none to choose
FLAT = ((r"(^|\.)spatial_gating_unit\.", r"\1"),)  # the gate is not a module of its own here

ATTENTIONS = (
    AttentionSpec(
        name="large_kernel",
        aliases=("lka", "large_kernel_attention"),
        target=f"{PACKAGE}.large_kernel:LargeKernel",
        family="large_kernel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(
            fixed={"bias": True}, ignored=ACT, read=f"{PACKAGE}.large_kernel:read_options"
        ),
        provenance=Provenance(
            paper=papers.LARGE_KERNEL,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            key_map=FLAT,
            notes="Computes what the paper says; the authors' code has K = 21 and d = 3 alone.",
        ),
    ),
    AttentionSpec(
        name="large_separable_kernel",
        aliases=("lska", "large_separable_kernel_attention"),
        target=f"{PACKAGE}.large_separable_kernel:LargeSeparableKernel",
        family="large_kernel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(
            aliases={"k_size": "kernel_size"},
            fixed={"bias": True},
            ignored=ACT,
            read=f"{PACKAGE}.large_separable_kernel:read_options",
        ),
        provenance=Provenance(
            paper=papers.LARGE_SEPARABLE_KERNEL,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            key_map=FLAT,
            notes="The authors' code fails at other sizes than 7, 11, 23, 35, 41 and 53.",
        ),
    ),
    AttentionSpec(
        name="large_selective_kernel",
        aliases=("lsk", "lsk_block"),
        target=f"{PACKAGE}.large_selective_kernel:LargeSelectiveKernel",
        family="large_kernel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(fixed={"bias": True}, ignored=ACT, width=Width()),
        provenance=Provenance(
            paper=papers.LARGE_SELECTIVE_KERNEL,
            license="CC BY-NC 4.0",
            reference="authors",
            verified="cases",
            key_map=FLAT,
            notes="The two kernels are weighed by independent sigmoids, not by a softmax.",
        ),
    ),
    AttentionSpec(
        name="deformable_large_kernel",
        aliases=("dlka", "d_lka", "deformable_lka"),
        target=f"{PACKAGE}.deformable_large_kernel:DeformableLargeKernel",
        family="large_kernel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(
            fixed={"bias": True}, ignored=ACT, read=f"{PACKAGE}.large_kernel:read_options"
        ),
        provenance=Provenance(
            paper=papers.DEFORMABLE_LARGE_KERNEL,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=FLAT,
            notes=(
                "The 2-D form. The deformable convolutions have no bias and no modulation, and "
                "their offsets do not start at zero."
            ),
        ),
    ),
    AttentionSpec(
        name="context_anchor",
        aliases=("caa", "context_anchor_attention"),
        target=f"{PACKAGE}.context_anchor:context_anchor",
        family="large_kernel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(fixed={"bias": True}, ignored=ACT),
        provenance=Provenance(
            paper=papers.CONTEXT_ANCHOR,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            key_map=tuple((rf"(^|\.)dw_conv{i}\.", rf"\1dw_convs.{i - 1}.") for i in range(1, 10)),
            reference_call=f"{PACKAGE}.context_anchor:reference_call",
            notes=(
                "The authors' network leaves out the norm and the activation that their class has "
                "by default, and applies the map to another one than it is computed from."
            ),
        ),
    ),
    AttentionSpec(
        name="receptive_field",
        aliases=("rfaconv", "rfa_conv", "receptive_field_attention"),
        target=f"{PACKAGE}.receptive_field:receptive_field",
        family="large_kernel",
        contract="map_channels",
        insertion=Insertion(role="replace_conv", keeps_norm=True),
        options=OptionNames(
            aliases={"out_channels": "channels"},
            fixed={"norm": "batch"},
            ignored=(*ACT, "groups"),  # the groups of the convolution that is replaced
            width=Width(minimum=8, of=f"{PACKAGE}.receptive_field:inputs_of"),
        ),
        provenance=Provenance(
            paper=papers.RECEPTIVE_FIELD,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            key_map=(  # of the unfolded form
                (r"(^|\.)conv\.(weight|bias)$", r"\1conv.0.\2"),
                (r"(^|\.)bn\.", r"\1conv.1."),
            ),
            notes=(
                "The authors' code has two classes of this name; the one with learned features "
                "is the paper's. The ratio of RFCBAMConv is a width."
            ),
        ),
    ),
    AttentionSpec(
        name="channel_prior",
        aliases=("cpca", "channel_prior_convolutional_attention"),
        target=f"{PACKAGE}.channel_prior:ChannelPrior",
        family="large_kernel",
        options=OptionNames(fixed={"bias": True}, ignored=ACT, width=Width()),
        provenance=Provenance(
            paper=papers.CHANNEL_PRIOR,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            key_map=(
                (r"(^|\.)dconv1_(\d+)\.", r"\1rows.\2."),
                (r"(^|\.)dconv(\d+)_1\.", r"\1columns.\2."),
                (r"(^|\.)dconv(\d+)_\2\.", r"\1square."),
            ),
            notes=(
                "The code takes the sigmoid of each pooling before their sum, the paper after it; "
                "one 1x1 convolution is used three times."
            ),
        ),
    ),
    AttentionSpec(
        name="strip_pooling",
        aliases=("strip", "spnet"),
        target=f"{PACKAGE}.strip_pooling:strip_pooling",
        family="large_kernel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(
            fixed={"norm": "batch", "align_corners": True},
            ignored=ACT,
            width=Width(),
            read=f"{PACKAGE}.strip_pooling:read_options",
        ),
        provenance=Provenance(
            paper=papers.STRIP_POOLING,
            license="MIT; Apache-2.0 (timm's form)",
            reference="authors",
            verified="cases",
            reference_call=f"{PACKAGE}.strip_pooling:reference_call",
            notes=(
                "The authors' class StripPooling is the mixed pooling module; their SPBlock is "
                "the gate. timm's strip attention is depthwise, and ends with one sigmoid of a sum."
            ),
        ),
    ),
)
