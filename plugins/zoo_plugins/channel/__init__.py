"""Channel attention: what to attend to."""

from dataclasses import replace

from zoo_plugins.mixed import CBAM_KEYS, CBAM_PAPER

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
CECA_PAPER = replace(ECA_PAPER, title="ECA-Net (circular padding by Chris Ha, in timm)")
ESE_PAPER = Paper(
    title="CenterMask: Real-Time Anchor-Free Instance Segmentation",
    authors="Youngwan Lee, Jongyoul Park",
    venue="CVPR",
    year=2020,
    arxiv="1911.06667",
)
SAN_PAPER = Paper(
    title="Second-order Attention Network for Single Image Super-Resolution",
    authors="Tao Dai, Jianrui Cai, Yongbing Zhang, Shu-Tao Xia, Lei Zhang",
    venue="CVPR",
    year=2019,
)
A2_PAPER = Paper(
    title="A^2-Nets: Double Attention Networks",
    authors="Yunpeng Chen, Yannis Kalantidis, Jianshu Li, Shuicheng Yan, Jiashi Feng",
    venue="NeurIPS",
    year=2018,
    arxiv="1810.11579",
)
DANET_PAPER = Paper(
    title="Dual Attention Network for Scene Segmentation",
    authors="Jun Fu et al.",
    venue="CVPR",
    year=2019,
    arxiv="1809.02983",
)
FCA_PAPER = Paper(
    title="FcaNet: Frequency Channel Attention Networks",
    authors="Zequn Qin, Pengyi Zhang, Fei Wu, Xi Li",
    venue="ICCV",
    year=2021,
    arxiv="2012.11879",
)
GATHER_EXCITE_PAPER = Paper(
    title="Gather-Excite: Exploiting Feature Context in Convolutional Neural Networks",
    authors="Jie Hu, Li Shen, Samuel Albanie, Gang Sun, Andrea Vedaldi",
    venue="NeurIPS",
    year=2018,
    arxiv="1810.12348",
)
EPSANET_PAPER = Paper(
    title="EPSANet: An Efficient Pyramid Squeeze Attention Block on Convolutional Neural Network",
    authors="Hu Zhang, Keke Zu, Jian Lu, Yuru Zou, Deyu Meng",
    venue="ACCV",
    year=2022,
    arxiv="2105.14447",
)
PARNET_PAPER = Paper(
    title="Non-deep Networks",
    authors="Ankit Goyal, Alexey Bochkovskiy, Jia Deng, Vladlen Koltun",
    venue="NeurIPS",
    year=2022,
    arxiv="2110.07641",
)
HOGA_PAPER = Paper(
    title="Auto Learning Attention",
    authors="Benteng Ma, Jing Zhang, Yong Xia, Dacheng Tao",
    venue="NeurIPS",
    year=2020,
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
    AttentionSpec(
        name="ceca",
        aliases=("circular_efficient_channel",),
        target="zoo_plugins.channel.ceca:CircularEfficientChannelAttention",
        family="channel",
        identity="exact",
        identity_gate=0.5,
        paper=CECA_PAPER,
        license="Apache-2.0",
        reference="authors",
        verified="cases",
        notes="eca with the channels in a circle; its author's code is timm's.",
    ),
    AttentionSpec(
        name="effective_se",
        aliases=("ese", "effective_squeeze_excite"),
        target="zoo_plugins.channel.effective_se:EffectiveSqueezeExcite",
        family="channel",
        identity="exact",
        identity_gate=0.5,
        paper=ESE_PAPER,
        license="Apache-2.0",
        reference="independent",
        verified="cases",
        notes="timm's layer computes what the authors' code does.",
    ),
    AttentionSpec(
        name="soca",
        aliases=("second_order_channel",),
        target="zoo_plugins.channel.soca:SecondOrderChannelAttention",
        family="channel",
        identity="exact",
        identity_gate=0.5,
        paper=SAN_PAPER,
        license="none stated in the repository",
        reference="authors",
        verified="cases",
        key_map=((r"(^|\.)conv_du\.0\.", r"\1fc1."), (r"(^|\.)conv_du\.2\.", r"\1fc2.")),
        notes=(
            "The covariance is divided by the number of positions and, beyond 1000 x 1000, taken "
            "from the centre; the code's default r is 8, its network's 16."
        ),
    ),
    AttentionSpec(
        name="double_attention",
        aliases=("a2", "a2_net"),
        target="zoo_plugins.channel.double_attention:DoubleAttention",
        family="channel",
        dead_parameters=(r"(^|\.)theta\.bias$",),  # taken out again by the softmax
        paper=A2_PAPER,
        license="none stated in the repository",
        reference="independent",
        verified="cases",
        key_map=(
            (r"(^|\.)convA\.", r"\1phi."),
            (r"(^|\.)convB\.", r"\1theta."),
            (r"(^|\.)convV\.", r"\1rho."),
            (r"(^|\.)conv_reconstruct\.", r"\1reconstruct."),
        ),
        notes="The paper adds the block's output to its input: residual=True.",
    ),
    AttentionSpec(
        name="dual_attention_channel",
        aliases=("danet_channel", "cam"),
        target="zoo_plugins.channel.dual_attention_channel:DualAttentionChannel",
        family="channel",
        identity="exact",
        identity_gate=1.0,
        variants=("official", "paper"),
        paper=DANET_PAPER,
        license="MIT",
        reference="authors",
        verified="cases",
        notes="The code attends to the least similar channels, the paper to the most similar.",
    ),
    AttentionSpec(
        name="fca",
        aliases=("fcanet", "frequency_channel"),
        target="zoo_plugins.channel.fca:FrequencyChannelAttention",
        family="channel",
        needs_size=True,
        identity="exact",
        identity_gate=0.5,
        paper=FCA_PAPER,
        license="MIT",
        reference="authors",
        verified="cases",
        key_map=(
            (r"^(.*\.)?dct_layer\.weight$", ""),  # computed
            (r"(^|\.)fc\.0\.", r"\1fc1."),
            (r"(^|\.)fc\.2\.", r"\1fc2."),
        ),
        notes=(
            "The rankings of frequencies are the code's; basis images smaller than 7 x 7 leave "
            "only the lowest frequency."
        ),
    ),
    AttentionSpec(
        name="gather_excite",
        aliases=("ge", "genet"),
        target="zoo_plugins.channel.gather_excite:GatherExcite",
        family="channel",
        needs_size=True,
        identity="residual",
        variants=("theta_minus", "theta", "theta_plus"),
        paper=GATHER_EXCITE_PAPER,
        license="none stated in the repository",
        reference="transcribed",
        verified="cases",
        key_map=(
            (r"(^|\.)gather\.", r"\1gather.0."),
            (r"(^|\.)gather_bn\.", r"\1gather.1."),
            (r"(^|\.)excite_down\.", r"\1excite.1."),
            (r"(^|\.)excite_up\.", r"\1excite.3."),
        ),
        notes="theta_minus has no parameters; timm's default adds an MLP, and raises.",
    ),
    AttentionSpec(
        name="psa",
        aliases=("pyramid_squeeze", "epsanet"),
        target="zoo_plugins.channel.psa:PyramidSqueezeAttention",
        family="channel",
        contract="map_channels",
        role="replace_conv",
        keeps_norm=True,
        variants=("official", "paper"),
        paper=EPSANET_PAPER,
        license="MIT",
        reference="authors",
        verified="cases",
        key_map=(
            *((rf"(^|\.)conv_{i + 1}\.", rf"\1convs.{i}.") for i in range(9)),
            (r"(^|\.)se\.fc", r"\1fc"),
        ),
        notes="The code joins the scales in reverse order, the largest kernel first.",
    ),
    AttentionSpec(
        name="parnet",
        aliases=("repvgg_sse",),
        target="zoo_plugins.channel.parnet:ParNet",
        family="channel",
        paper=PARNET_PAPER,
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
    AttentionSpec(
        name="hoga",
        aliases=("high_order_group", "autola"),
        target="zoo_plugins.channel.hoga:HighOrderGroupAttention",
        family="channel",
        identity="exact",
        identity_gate=0.5,
        paper=HOGA_PAPER,
        license="MIT",
        reference="authors",
        verified="cases",
        key_map=(
            (r"(^|\.)_ops\.", r"\1gates."),
            *CBAM_KEYS,
            (r"(^|\.)channel_back\.", r"\1fuse."),
            (r"(^|\.)se\.fc", r"\1group_se.fc"),
            (r"(^|\.)se2\.fc", r"\1out_se.fc"),
            (r"(^|\.)fc\.0\.", r"\1fc1."),
            (r"(^|\.)fc\.2\.", r"\1fc2."),
        ),
        notes=(
            "The cell that the authors evaluate; its SE module on a group has no hidden channel "
            "for C < 32."
        ),
    ),
)


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS
