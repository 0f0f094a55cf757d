"""Mixed attention: channels and positions together."""

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec, Paper

CBAM_PAPER = Paper(
    title="CBAM: Convolutional Block Attention Module",
    authors="Sanghyun Woo, Jongchan Park, Joon-Young Lee, In So Kweon",
    venue="ECCV",
    year=2018,
    arxiv="1807.06521",
)
CBAM_KEYS = (
    (r"(^|\.)ChannelGate\.mlp\.1\.", r"\1channel.fc1."),
    (r"(^|\.)ChannelGate\.mlp\.3\.", r"\1channel.fc2."),
    (r"(^|\.)SpatialGate\.spatial\.", r"\1spatial.conv."),
)
BAM_PAPER = Paper(
    title="BAM: Bottleneck Attention Module",
    authors="Jongchan Park, Sanghyun Woo, Joon-Young Lee, In So Kweon",
    venue="BMVC",
    year=2018,
    arxiv="1807.06514",
)
BAM_KEYS = (
    (r"(^|\.)channel_att\.gate_c\.gate_c_", r"\1channel."),
    (r"(^|\.)spatial_att\.gate_s\.gate_s_", r"\1spatial."),
)

ATTENTIONS = (
    AttentionSpec(
        name="cbam",
        target="zoo_plugins.mixed.cbam:Cbam",
        family="mixed",
        identity="exact",
        identity_gate=0.25,
        variants=("official", "paper"),
        paper=CBAM_PAPER,
        license="MIT",
        reference="authors",
        verified="cases",
        key_map=CBAM_KEYS,
        notes=(
            "The code has biases in the MLP and a batch norm after the 7x7 convolution; "
            "the paper's equations have neither. timm stacks the mean before the maximum."
        ),
    ),
    AttentionSpec(
        name="bam",
        aliases=("bottleneck_attention_module",),
        target="zoo_plugins.mixed.bam:Bam",
        family="mixed",
        placement="between_stages",
        identity="exact",
        identity_gate=1.5,
        variants=("official", "paper"),
        dead_parameters=(  # biases that a batch norm takes out again
            r"(^|\.)channel\.fc_(\d+|final)\.bias$",
            r"(^|\.)spatial\.conv_(reduce0|di_\d+|final)\.bias$",
        ),
        paper=BAM_PAPER,
        license="MIT",
        reference="authors",
        verified="cases",
        key_map=BAM_KEYS,
        notes=(
            "The code multiplies the two branches, the paper adds them; "
            "the code norms every hidden layer, the paper the end of each branch."
        ),
    ),
    AttentionSpec(
        name="simam",
        target="zoo_plugins.mixed.simam:SimAM",
        family="mixed",
        identity="residual",
        paper=Paper(
            title="SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural "
            "Networks",
            authors="Lingxiao Yang, Ru-Yuan Zhang, Lida Li, Xiaohua Xie",
            venue="ICML (PMLR 139)",
            year=2021,
        ),
        license="none stated in the repository",
        reference="authors",
        verified="cases",
        notes="The code divides the variance by HW - 1; the paper's equation 5 by HW.",
    ),
)


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS
