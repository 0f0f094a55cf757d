"""Specs of self-attention on the whole map (or its axes) at less than quadratic cost."""

from zoo.specs import AttentionSpec, Paper

EXTERNAL_PAPER = Paper(
    title="Beyond Self-attention: External Attention using Two Linear Layers for Visual Tasks",
    authors="Meng-Hao Guo, Zheng-Ning Liu, Tai-Jiang Mu, Shi-Min Hu",
    venue="TPAMI",
    year=2022,
    arxiv="2105.02358",
)

LINEAR = (
    AttentionSpec(
        name="axial",
        aliases=("axial_attention", "axial_deeplab"),
        target="zoo_plugins.self_attention.axial:axial",
        family="self_attention",
        needs_size=True,
        dead_parameters=(  # taken out by the softmax, and by the next norm
            r"(^|\.)bn_similarity\.bias$",
            r"(^|\.)hight_block\.bn_output\.bias$",
        ),
        paper=Paper(
            title="Axial-DeepLab: Stand-Alone Axial-Attention for Panoptic Segmentation",
            authors="Huiyu Wang et al.",
            venue="ECCV",
            year=2020,
            arxiv="2003.07853",
        ),
        license="Apache-2.0",
        reference="authors",
        verified="cases",
        key_map=((r"^(.*\.)?flatten_index$", ""),),  # computed
        notes=(
            "The authors' PyTorch code batch-norms the three terms of the logits and the two of "
            "the output before summing them."
        ),
    ),
    AttentionSpec(
        name="efficient",
        aliases=("efficient_attention",),
        target="zoo_plugins.self_attention.efficient:EfficientAttention",
        family="self_attention",
        identity="exact",
        dead_parameters=(r"(^|\.)keys\.bias$",),  # taken out by the softmax over positions
        paper=Paper(
            title="Efficient Attention: Attention with Linear Complexities",
            authors="Zhuoran Shen, Mingyuan Zhang, Haiyu Zhao, Shuai Yi, Hongsheng Li",
            venue="WACV",
            year=2021,
            arxiv="1812.01243",
        ),
        license="MIT",
        reference="authors",
        verified="cases",
        notes="The authors' code has the softmax normalisation only, and always adds the input.",
    ),
    AttentionSpec(
        name="external",
        aliases=("external_attention", "eanet"),
        target="zoo_plugins.self_attention.external:ExternalAttention",
        family="self_attention",
        dead_parameters=(r"(^|\.)conv1\.bias$",),
        paper=EXTERNAL_PAPER,
        reference="authors",
        verified="cases",
        notes="The authors' block adds the input and ends in a ReLU; the paper's equations do not.",
    ),
    AttentionSpec(
        name="external_multihead",
        aliases=("eamlp",),
        target="zoo_plugins.self_attention.external_multihead:ExternalMultiHead",
        family="self_attention",
        contract="tokens",
        role="replace_mixer",
        channel_arguments=("dim",),
        dead_parameters=(r"(^|\.)trans_dims\.bias$", r"(^|\.)linear_0\.bias$"),
        paper=EXTERNAL_PAPER,
        license="BSD-3-Clause-Clear",
        reference="authors",
        verified="cases",
        notes="qkv_bias of the authors' signature is not used in their code.",
    ),
    AttentionSpec(
        name="criss_cross",
        aliases=("ccnet", "cca"),
        target="zoo_plugins.self_attention.criss_cross:CrissCross",
        family="self_attention",
        identity="exact",
        dead_parameters=(r"(^|\.)key_conv\.bias$",),
        paper=Paper(
            title="CCNet: Criss-Cross Attention for Semantic Segmentation",
            authors="Zilong Huang et al.",
            venue="ICCV",
            year=2019,
            arxiv="1811.11721",
        ),
        license="MIT",
        reference="authors",
        verified="cases",
        notes="One pass by default in the authors' class; two in the paper and here.",
    ),
    AttentionSpec(
        name="ema_unit",
        aliases=("emau", "emanet"),
        target="zoo_plugins.self_attention.ema_unit:EMAUnit",
        family="self_attention",
        dead_parameters=(r"(^|\.)conv1\.(weight|bias)$",),  # runs without gradients
        paper=Paper(
            title="Expectation-Maximization Attention Networks for Semantic Segmentation",
            authors="Xia Li, Zhisheng Zhong, Jianlong Wu, Yibo Yang, Zhouchen Lin, Hong Liu",
            venue="ICCV",
            year=2019,
            arxiv="1907.13426",
        ),
        license="GPL-3.0",
        reference="authors",
        verified="cases",
        reference_call="zoo_plugins.self_attention.ema_unit:reference_call",
        notes=(
            "No gradient passes through the iterations in the authors' code, so its first "
            "convolution is never trained."
        ),
    ),
)
