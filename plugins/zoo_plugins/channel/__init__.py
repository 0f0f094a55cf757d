"""Channel attention: what to attend to."""

from zoo_plugins.mixed import CBAM_PAPER

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec, Paper

SE_PAPER = Paper(
    title="Squeeze-and-Excitation Networks",
    authors="Jie Hu, Li Shen, Gang Sun",
    venue="CVPR",
    year=2018,
    arxiv="1709.01507",
)
ECA_PAPER = Paper(
    title="ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks",
    authors="Qilong Wang et al.",
    venue="CVPR",
    year=2020,
    arxiv="1910.03151",
)
GC_PAPER = Paper(
    title="GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond",
    authors="Yue Cao, Jiarui Xu, Stephen Lin, Fangyun Wei, Han Hu",
    venue="ICCV Workshops",
    year=2019,
    arxiv="1904.11492",
)
SK_PAPER = Paper(
    title="Selective Kernel Networks",
    authors="Xiang Li, Wenhai Wang, Xiaolin Hu, Jian Yang",
    venue="CVPR",
    year=2019,
    arxiv="1903.06586",
)
SPLIT_ATTENTION_PAPER = Paper(
    title="ResNeSt: Split-Attention Networks",
    authors="Hang Zhang et al.",
    venue="CVPR Workshops",
    year=2022,
    arxiv="2004.08955",
)

ATTENTIONS = (
    AttentionSpec(
        name="se",
        aliases=("squeeze_excite", "senet"),
        target="zoo_plugins.channel.se:SqueezeExcite",
        family="channel",
        identity="exact",
        identity_gate=0.5,
        paper=SE_PAPER,
        license="Apache-2.0",
        reference="independent",
        verified="cases",
        notes="The authors round the hidden width down, timm to a multiple of 8.",
    ),
    AttentionSpec(
        name="eca",
        aliases=("efficient_channel",),
        target="zoo_plugins.channel.eca:EfficientChannelAttention",
        family="channel",
        identity="exact",
        identity_gate=0.5,
        paper=ECA_PAPER,
        license="MIT",
        reference="authors",
        verified="cases",
        notes="The authors set the kernel size by hand for each stage; the paper computes it.",
    ),
    AttentionSpec(
        name="cbam_channel",
        target="zoo_plugins.mixed.cbam:ChannelGate",
        family="channel",
        identity="exact",
        identity_gate=0.5,
        paper=CBAM_PAPER,
        license="MIT",
        reference="authors",
        verified="cases",
        key_map=((r"(^|\.)mlp\.1\.", r"\1fc1."), (r"(^|\.)mlp\.3\.", r"\1fc2.")),
        notes="The channel half of cbam.",
    ),
    AttentionSpec(
        name="global_context",
        aliases=("gc", "gcnet"),
        target="zoo_plugins.channel.global_context:GlobalContext",
        family="channel",
        identity="exact",
        identity_gate=1.0,
        dead_parameters=(r"(^|\.)conv_attn\.bias$",),
        paper=GC_PAPER,
        license="Apache-2.0",
        reference="authors",
        verified="cases",
        key_map=(
            (r"(^|\.)conv_mask\.", r"\1conv_attn."),
            (r"(^|\.)channel_add_conv\.", r"\1mlp_add."),
            (r"(^|\.)channel_mul_conv\.", r"\1mlp_scale."),
            (r"(^|\.)mlp_(add|scale)\.0\.", r"\1mlp_\2.fc1."),
            (r"(^|\.)mlp_(add|scale)\.1\.", r"\1mlp_\2.norm."),
            (r"(^|\.)mlp_(add|scale)\.3\.", r"\1mlp_\2.fc2."),
        ),
        notes="The authors add the context; timm's `gc` multiplies by it.",
    ),
    AttentionSpec(
        name="selective_kernel",
        aliases=("sk", "sknet"),
        target="zoo_plugins.channel.selective_kernel:SelectiveKernel",
        family="channel",
        contract="map_channels",
        role="replace_conv",
        paper=SK_PAPER,
        license="Apache-2.0",
        reference="independent",
        verified="cases",
        notes="timm's layer splits the input between the paths; the paper gives each all of it.",
    ),
    AttentionSpec(
        name="split_attention",
        aliases=("splat", "resnest"),
        target="zoo_plugins.channel.split_attention:SplitAttention",
        family="channel",
        contract="map_channels",
        role="replace_conv",
        dead_parameters=(r"(^|\.)conv\.bias$", r"(^|\.)fc1\.bias$"),
        paper=SPLIT_ATTENTION_PAPER,
        license="Apache-2.0",
        reference="authors",
        verified="cases",
        notes="Radix-major, as the authors' code; the paper's figure is cardinality-major.",
    ),
)


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS
