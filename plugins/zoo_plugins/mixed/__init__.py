"""Mixed attention: channels and positions together."""

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec, Identity, Paper

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
COORDINATE_PAPER = Paper(
    title="Coordinate Attention for Efficient Mobile Network Design",
    authors="Qibin Hou, Daquan Zhou, Jiashi Feng",
    venue="CVPR",
    year=2021,
    arxiv="2103.02907",
)
TRIPLET_PAPER = Paper(
    title="Rotate to Attend: Convolutional Triplet Attention Module",
    authors="Diganta Misra, Trikay Nalamada, Ajay Uppili Arasanipalai, Qibin Hou",
    venue="WACV",
    year=2021,
    arxiv="2010.03045",
)
TRIPLET_KEYS = (  # the last three: the names of the repository's older file
    (r"(^|\.)(cw|hc|hw)\.conv\.(conv|bn)\.", r"\1\2.\3."),
    (r"(^|\.)ChannelGateH\.spatial\.", r"\1cw."),
    (r"(^|\.)ChannelGateW\.spatial\.", r"\1hc."),
    (r"(^|\.)SpatialGate\.spatial\.", r"\1hw."),
)
SHUFFLE_PAPER = Paper(
    title="SA-Net: Shuffle Attention for Deep Convolutional Neural Networks",
    authors="Qing-Long Zhang, Yu-Bin Yang",
    venue="ICASSP",
    year=2021,
    arxiv="2102.00240",
)
POLARIZED_PAPER = Paper(
    title="Polarized Self-Attention: Towards High-quality Pixel-wise Regression",
    authors="Huajun Liu, Fuqiang Liu, Xinyi Fan, Dong Huang",
    venue="arXiv",
    year=2021,
    arxiv="2107.00782",
)
COT_PAPER = Paper(
    title="Contextual Transformer Networks for Visual Recognition",
    authors="Yehao Li, Ting Yao, Yingwei Pan, Tao Mei",
    venue="TPAMI",
    year=2022,
    arxiv="2107.12292",
)
HARMONIOUS_PAPER = Paper(
    title="Harmonious Attention Network for Person Re-Identification",
    authors="Wei Li, Xiatian Zhu, Shaogang Gong",
    venue="CVPR",
    year=2018,
    arxiv="1802.08122",
)
ABN_PAPER = Paper(
    title="Attention Branch Network: Learning of Attention Mechanism for Visual Explanation",
    authors="Hiroshi Fukui, Tsubasa Hirakawa, Takayoshi Yamashita, Hironobu Fujiyoshi",
    venue="CVPR",
    year=2019,
    arxiv="1812.10025",
)
DANET_PAPER = Paper(
    title="Dual Attention Network for Scene Segmentation",
    authors="Jun Fu et al.",
    venue="CVPR",
    year=2019,
    arxiv="1809.02983",
)
RESIDUAL_ATTENTION_PAPER = Paper(
    title="Residual Attention Network for Image Classification",
    authors="Fei Wang et al.",
    venue="CVPR",
    year=2017,
    arxiv="1704.06904",
)
_SMALL = "The mask branch is a small one: one pooling, one bottleneck unit. "
RESIDUAL_MASKS: tuple[tuple[str, str, Identity, str], ...] = (
    ("mixed", "f1", "exact", _SMALL + "The paper's choice of the three."),
    ("channel", "f2", "exact", _SMALL + "It starts as (1 + C^-1/2) x."),
    ("spatial", "f3", "residual", _SMALL + "Its norm would blow up the first step from zero."),
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
    AttentionSpec(
        name="coordinate",
        aliases=("coord", "coordatt"),
        target="zoo_plugins.mixed.coordinate:CoordinateAttention",
        family="mixed",
        identity="exact",
        identity_gate=0.25,
        variants=("official", "timm"),
        dead_parameters=(r"(^|\.)conv1\.bias$",),  # a batch norm takes it out again
        paper=COORDINATE_PAPER,
        license="MIT",
        reference="authors",
        verified="cases",
        notes="timm's layer has no biases and another hidden width: variant='timm'.",
    ),
    AttentionSpec(
        name="triplet",
        aliases=("triplet_attention",),
        target="zoo_plugins.mixed.triplet:TripletAttention",
        family="mixed",
        identity="exact",
        identity_gate=0.5,
        paper=TRIPLET_PAPER,
        license="MIT",
        reference="authors",
        verified="cases",
        key_map=TRIPLET_KEYS,
        notes="Computes what the paper says; the maximum comes before the mean.",
    ),
    AttentionSpec(
        name="shuffle_attention",
        aliases=("sa_net", "sanet"),
        target="zoo_plugins.mixed.shuffle_attention:ShuffleAttention",
        family="mixed",
        identity="residual",  # the shuffle moves channels, whatever the gates are
        paper=SHUFFLE_PAPER,
        license="none stated in the repository",
        reference="authors",
        verified="cases",
        notes="64 groups in the authors' networks; here the nearest number that divides.",
    ),
    AttentionSpec(
        name="polarized_parallel",
        aliases=("psa_p",),
        target="zoo_plugins.mixed.polarized:PolarizedParallel",
        family="mixed",
        identity="residual",  # the softmax of the spatial gate depends on the size of the map
        variants=("official", "paper"),
        paper=POLARIZED_PAPER,
        license="Apache-2.0",
        reference="authors",
        verified="cases",
        notes=(
            "The code has the spatial softmax over positions after the product, the paper over "
            "channels before it; the code's channel branch has no layer norm."
        ),
    ),
    AttentionSpec(
        name="polarized_sequential",
        aliases=("psa_s", "polarized"),
        target="zoo_plugins.mixed.polarized:PolarizedSequential",
        family="mixed",
        identity="exact",
        identity_gate=0.25,
        variants=("official", "paper"),
        paper=POLARIZED_PAPER,
        license="Apache-2.0",
        reference="authors",
        verified="cases",
        notes=(
            "The code has the spatial softmax over the positions of the values, the paper over "
            "the channels of the query; the layer norm is inside the channel branch."
        ),
    ),
    AttentionSpec(
        name="cot",
        aliases=("contextual_transformer",),
        target="zoo_plugins.mixed.cot:ContextualTransformer",
        family="mixed",
        contract="map_channels",
        role="replace_conv",
        dead_parameters=(r"(^|\.)se\.0\.bias$",),  # a batch norm takes it out again
        paper=COT_PAPER,
        license="Apache-2.0",
        reference="authors",
        verified="cases",
        notes="No softmax over the taps; static and dynamic context are fused by attention.",
    ),
    AttentionSpec(
        name="harmonious",
        aliases=("harmonious_attention",),
        target="zoo_plugins.mixed.harmonious:Harmonious",
        family="mixed",
        identity="exact",
        identity_gate=0.7310586,  # sigmoid(1)
        dead_parameters=(  # taken out by a batch norm; and the regions are no part of the map
            r"(^|\.)conv\.bias$",
            r"(^|\.)spatial_attn\.conv2\.conv\.weight$",
            r"(^|\.)hard_attn\.fc\.",
        ),
        paper=HARMONIOUS_PAPER,
        license="MIT",
        reference="independent",
        verified="cases",
        reference_call="zoo_plugins.mixed.harmonious:reference_call",
        notes=(
            "The reference (torchreid) ends the attention in a ReLU before the sigmoid, so that it "
            "is never below one half. Its sampling follows today's align_corners=False."
        ),
    ),
    AttentionSpec(
        name="harmonious_regions",
        aliases=("hard_regional_attention",),
        target="zoo_plugins.mixed.harmonious_regions:HarmoniousRegions",
        family="mixed",
        contract="map_pair",
        role="none",
        paper=HARMONIOUS_PAPER,
        license="MIT",
        reference="independent",
        verified="cases",
        notes="The hard half of harmonious, recorded in the cases of that name.",
    ),
    AttentionSpec(
        name="attention_branch",
        aliases=("abn",),
        target="zoo_plugins.mixed.attention_branch:AttentionBranch",
        family="mixed",
        placement="between_stages",
        default_sites="last_stage",  # before the last stage, of which the branch is a copy
        identity="exact",
        identity_gate=1.5,
        dead_parameters=(  # a batch norm takes it out again; it learns from the branch's own loss
            r"(^|\.)bn_att\.bias$",
            r"(^|\.)att_conv2\.weight$",
        ),
        paper=ABN_PAPER,
        license="MIT",
        reference="authors",
        verified="cases",
        reference_call="zoo_plugins.mixed.attention_branch:reference_call",
        notes="The code merges the class maps by a 3x3 convolution.",
    ),
    AttentionSpec(
        name="dual_attention",
        aliases=("danet",),
        target="zoo_plugins.mixed.dual_attention:DualAttention",
        family="mixed",
        contract="map_channels",
        quadratic=True,
        identity="exact",
        identity_gate=2.0,
        variants=("official", "paper"),
        dead_parameters=(r"(^|\.)sa\.key\.bias$",),  # the softmax takes it out again
        paper=DANET_PAPER,
        license="MIT",
        reference="authors",
        verified="cases",
        key_map=((r"(^|\.)sa\.(query|key|value)_conv\.", r"\1sa.\2."),),
        reference_call="zoo_plugins.mixed.dual_attention:reference_call",
        notes=(
            "With num_classes or inter_channels it is DANet's head; without, the sum of both "
            "attentions on the map itself. The code attends to the least similar channels."
        ),
    ),
    *(
        AttentionSpec(
            name=f"residual_mask_{kind}",
            aliases=(alias,),
            target=f"zoo_plugins.mixed.residual_mask:ResidualMask{kind.title()}",
            family="mixed",
            identity=identity,
            paper=RESIDUAL_ATTENTION_PAPER,
            reference="equations",
            verified="equations",
            notes=notes,
        )
        for kind, alias, identity, notes in RESIDUAL_MASKS
    ),
)


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS
