"""Specs of guided attention inference, supervised attention, two-level attention, and of the
networks that explain themselves."""

from zoo_plugins.common.settings import RESNET

from zoo.specs import AttentionSpec, ModelSpec, Paper

PACKAGE = "zoo_plugins.class_based"
GAIN_PAPER = Paper(
    title="Tell Me Where to Look: Guided Attention Inference Network",
    authors="Kunpeng Li, Ziyan Wu, Kuan-Chuan Peng, Jan Ernst, Yun Fu",
    venue="CVPR",
    year=2018,
    arxiv="1802.10171",
)
ABN_PAPER = Paper(
    title="Attention Branch Network: Learning of Attention Mechanism for Visual Explanation",
    authors="Hiroshi Fukui, Tsubasa Hirakawa, Takayoshi Yamashita, Hironobu Fujiyoshi",
    venue="CVPR",
    year=2019,
    arxiv="1812.10025",
)

ATTENTIONS = (
    AttentionSpec(
        name="gain",
        aliases=("guided_attention_inference",),
        target=f"{PACKAGE}.gain:Gain",
        family="class_based",
        contract="head",
        role="none",
        channel_arguments=("in_channels",),
        paper=GAIN_PAPER,
        license="none stated in the port",
        reference="equations",
        verified="cases",
        reference_call=f"{PACKAGE}.gain:reference_call",
        notes="No code of the authors. The unofficial port multiplies the gradient by the score, "
        "which turns the map of a negative score around; here it is the plain gradient.",
    ),
    AttentionSpec(
        name="supervised_attention",
        aliases=("san",),
        target=f"{PACKAGE}.supervised_attention:supervised_attention",
        family="class_based",
        contract="head",
        role="none",
        dead_parameters=(  # a batch norm takes it out again; it learns from the branch's own loss
            r"(^|\.)branch\.bn_att\.bias$",
            r"(^|\.)branch\.att_conv2\.weight$",
        ),
        paper=Paper(
            title="Curriculum Enhanced Supervised Attention Network for Person Re-Identification",
            authors="Xiaoguang Zhu, Jiuchao Qian, Haoyu Wang, Peilin Liu",
            venue="IEEE Signal Processing Letters",
            year=2020,
            doi="10.1109/LSP.2020.3024794",
        ),
        license="none stated in the repository",
        reference="transcribed",
        verified="equations",
        reference_call=f"{PACKAGE}.supervised_attention:reference_call",
        notes="The cases are of the loss only (part='loss'), from a repository whose authorship is "
        "not proved; the head is the attention branch that its trainer calls.",
    ),
    AttentionSpec(
        name="two_level",
        aliases=("part_attention",),
        target=f"{PACKAGE}.two_level:PartAttention",
        family="class_based",
        kind="hard",
        contract="set",
        role="none",
        masked=True,
        channel_arguments=("num_filters",),
        paper=Paper(
            title="The Application of Two-level Attention Models in Deep Convolutional Neural "
            "Network for Fine-grained Image Classification",
            authors="Tianjun Xiao et al.",
            venue="CVPR",
            year=2015,
            arxiv="1411.6447",
        ),
        license="none stated in the repository",
        reference="transcribed",
        verified="equations",
        reference_call=f"{PACKAGE}.two_level:reference_call",
        notes="The cases are of the part detectors only, from the same lab's next system; the "
        "object level and the fusion are in two_level_pipeline.",
    ),
)


def _networks(depth: int) -> tuple[ModelSpec, ModelSpec]:
    return (
        ModelSpec(
            name=f"abn_resnet{depth}",
            aliases=(f"attention_branch_network_resnet{depth}",),
            target=f"{PACKAGE}.attention_branch_resnet:AttentionBranchResNet",
            defaults={"depth": depth},
            family="class_based",
            input=RESNET,
            objective=f"{PACKAGE}.attention_branch_resnet:AttentionBranchLoss",
            paper=ABN_PAPER,
            license="MIT",
            reference="authors",
            verified="equations",
            key_map=((r"^(att_layer4|bn_att\d?|att_conv\d?)\.", r"layer3.attention.\1."),),
            notes="The branch is verified by cases, the network around it is timm's. Trained with "
            "the branch's own cross-entropy; attention_maps(images) explains.",
        ),
        ModelSpec(
            name=f"gain_resnet{depth}",
            target=f"{PACKAGE}.gain_resnet:GainResNet",
            defaults={"depth": depth},
            family="class_based",
            input=RESNET,
            objective=f"{PACKAGE}.gain_resnet:GuidedAttentionLoss",
            paper=GAIN_PAPER,
            reference="equations",
            verified="equations",
            notes="The parameters of timm's ResNet; trained with the attention-mining loss; "
            "attention_maps(images) explains.",
        ),
    )


MODELS = tuple(spec for depth in (18, 34, 50, 101, 152) for spec in _networks(depth))
