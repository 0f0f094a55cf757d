"""Multimodal attention: two inputs that attend to each other."""

from zoo_plugins.multimodal._perceiver import MODELS, PERCEIVER

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec, ModelSpec, Paper

ATTENTIONS: tuple[AttentionSpec, ...] = (
    AttentionSpec(
        name="cross_attention_network",
        aliases=("can", "fewshot_can"),
        target="zoo_plugins.multimodal.cross_attention_network:CrossAttentionNetwork",
        family="multimodal",
        contract="map_pair",
        role="none",
        quadratic=True,
        dead_parameters=(r"(^|\.)fc1\.bias$",),  # taken out again by the norm
        paper=Paper(
            title="Cross Attention Network for Few-shot Classification",
            authors="Ruibing Hou, Hong Chang, Bingpeng Ma, Shiguang Shan, Xilin Chen",
            venue="NeurIPS",
            year=2019,
            arxiv="1910.07677",
        ),
        license="none stated in the repository",
        reference="authors",
        verified="cases",
        key_map=(
            (r"(^|\.)conv1\.conv\.", r"\1fc1."),
            (r"(^|\.)conv1\.bn\.", r"\1norm."),
            (r"(^|\.)conv2\.", r"\1fc2."),
        ),
        example="zoo_plugins.multimodal.cross_attention_network:example",
        notes="Built for one number of positions, 6 x 6 unless said otherwise.",
    ),
    AttentionSpec(
        name="co_excitation",
        aliases=("coae", "co_attention_co_excitation"),
        target="zoo_plugins.multimodal.co_excitation:CoExcitation",
        family="multimodal",
        contract="map_pair",
        role="none",
        dead_parameters=(r"(^|\.)(query|target)_out\.0\.bias$",),  # taken out again by the norm
        paper=Paper(
            title="One-Shot Object Detection with Co-Attention and Co-Excitation",
            authors="Ting-I Hsieh, Yi-Chen Lo, Hwann-Tzong Chen, Tyng-Luh Liu",
            venue="NeurIPS",
            year=2019,
            arxiv="1911.12529",
        ),
        license="MIT",
        reference="authors",
        verified="cases",
        key_map=(
            (r"^(.*\.)?concat_project\..*$", ""),  # never used
            (r"(^|\.)W\.(?!\d)", r"\1query_out.0."),
            (r"(^|\.)Q\.(?!\d)", r"\1target_out.0."),
            (r"(^|\.)W\.", r"\1query_out."),
            (r"(^|\.)Q\.", r"\1target_out."),
            (r"(^|\.)ChannelGate\.mlp\.1\.", r"\1gate.fc1."),
            (r"(^|\.)ChannelGate\.mlp\.3\.", r"\1gate.fc2."),
        ),
        example="zoo_plugins.multimodal.co_excitation:example",
        notes="The paper squeezes by a mean; the code by CBAM's channel gate.",
    ),
    AttentionSpec(
        name="stacked_cross",
        aliases=("scan", "stacked_cross_attention"),
        target="zoo_plugins.multimodal.stacked_cross:StackedCross",
        family="multimodal",
        contract="context",
        role="none",
        channel_arguments=("dim",),
        paper=Paper(
            title="Stacked Cross Attention for Image-Text Matching",
            authors="Kuang-Huei Lee, Xi Chen, Gang Hua, Houdong Hu, Xiaodong He",
            venue="ECCV",
            year=2018,
            arxiv="1803.08024",
        ),
        license="Apache-2.0",
        reference="authors",
        verified="cases",
        reference_call="zoo_plugins.multimodal.stacked_cross:reference_call",
        example="zoo_plugins.multimodal.stacked_cross:example",
        masked=True,
        notes="The code clips by a leaky ReLU of slope 0.1, the paper at zero: leaky_slope=0.",
    ),
    AttentionSpec(
        name="boosted",
        aliases=("boosted_attention",),
        target="zoo_plugins.multimodal.boosted:Boosted",
        family="multimodal",
        placement="stage",  # after a ReLU
        paper=Paper(
            title="Boosted Attention: Leveraging Human Attention for Image Captioning",
            authors="Shi Chen, Qi Zhao",
            venue="ECCV",
            year=2018,
            arxiv="1904.00767",
        ),
        license="n/a",
        reference="equations",
        verified="equations",
        reference_call="zoo_plugins.multimodal.boosted:reference_call",
        notes="The stimulus-driven half; what the equation leaves open is stated with the module.",
    ),
    AttentionSpec(
        name="x_linear",
        aliases=("xlan", "x_linear_attention"),
        target="zoo_plugins.multimodal.x_linear:x_linear",
        family="multimodal",
        contract="context",
        role="none",
        channel_arguments=("dim",),
        dead_parameters=(r"(^|\.)spatial\.bias$",),  # taken out again by the softmax
        paper=Paper(
            title="X-Linear Attention Networks for Image Captioning",
            authors="Yingwei Pan, Ting Yao, Yehao Li, Tao Mei",
            venue="CVPR",
            year=2020,
            arxiv="2003.14080",
        ),
        license="none stated in the repository",
        reference="authors",
        verified="cases",
        key_map=(
            (r"(^|\.)layers\.(\d+)\.encoder_attn\.", r"\1blocks.\2."),
            (r"(^|\.)in_proj_(q|k|v1|v2)\.0\.", r"\1\2.linear."),
            (r"(^|\.)in_proj_(q|k|v1|v2)\.[12]\.", r"\1\2.norm."),  # 1 where there is no activation
            (r"(^|\.)attn_net\.attention_basic\.0\.", r"\1mid."),
            (r"(^|\.)attn_net\.attention_last\.", r"\1spatial."),
            (r"(^|\.)attn_net\.attention_last2\.", r"\1channel."),
            (r"(^|\.)bifeat_emb\.", r"\1mixers."),
            (r"(^|\.)layer_norms\.", r"\1norms."),
            (r"(^|\.)layer_norm\.", r"\1norm."),
        ),
        reference_call="zoo_plugins.multimodal.x_linear:reference_call",
        masked=True,
        notes="The paper's block has ReLUs; the authors train with CELU, alpha 1.3.",
    ),
    AttentionSpec(
        name="self_mutual",
        aliases=("s2ma", "selective_self_mutual"),
        target="zoo_plugins.multimodal.self_mutual:SelfMutual",
        family="multimodal",
        contract="map_pair",
        role="none",
        quadratic=True,
        dead_parameters=(r"(^|\.)phi\.bias$", r"(^|\.)select\.0\.bias$"),  # softmax, norm
        paper=Paper(
            title="Learning Selective Self-Mutual Attention for RGB-D Saliency Detection",
            authors="Nian Liu, Ni Zhang, Junwei Han",
            venue="CVPR",
            year=2020,
        ),
        license="none stated in the repository",
        reference="authors",
        verified="cases",
        key_map=(
            (r"(^|\.)NonLocal\.ImageAfterASPP_bnRelu\.0\.", r"\1image.norm."),
            (r"(^|\.)NonLocal\.DepthAfterASPP_bnRelu\.0\.", r"\1depth.norm."),
            (r"(^|\.)NonLocal\.R_", r"\1image."),
            (r"(^|\.)NonLocal\.F_", r"\1depth."),
            (r"(^|\.)affinityAttConv\.", r"\1select."),
        ),
        reference_call="zoo_plugins.multimodal.self_mutual:reference_call",
        notes="A ReLU stands before the softmax that weighs the other modality.",
    ),
    PERCEIVER,
)


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS


@hookimpl
def zoo_models() -> tuple[ModelSpec, ...]:
    return MODELS
