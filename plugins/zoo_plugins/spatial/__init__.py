"""Spatial attention: where to attend."""

from zoo_plugins.channel.papers import DANET_PAPER
from zoo_plugins.mixed import CBAM_PAPER
from zoo_plugins.spatial import _two_inputs

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec, Paper

SGE_PAPER = Paper(
    title="Spatial Group-wise Enhance: Improving Semantic Feature Learning in Convolutional "
    "Networks",
    authors="Xiang Li, Xiaolin Hu, Jian Yang",
    venue="arXiv",
    year=2019,
    arxiv="1905.09646",
)
PICANET_PAPER = Paper(
    title="PiCANet: Learning Pixel-wise Contextual Attention for Saliency Detection",
    authors="Nian Liu, Junwei Han, Ming-Hsuan Yang",
    venue="CVPR",
    year=2018,
    arxiv="1708.06433",
)
SPAN_PAPER = Paper(
    title="SPAN: Spatial Pyramid Attention Network for Image Manipulation Localization",
    authors="Xuefeng Hu et al.",
    venue="ECCV",
    year=2020,
    arxiv="2009.00726",
)
TSA_PAPER = Paper(
    title="End-to-End Low Cost Compressive Spectral Imaging with Spatial-Spectral Self-Attention",
    authors="Ziyi Meng, Jiawei Ma, Xin Yuan",
    venue="ECCV",
    year=2020,
)

ATTENTIONS = (
    AttentionSpec(
        name="cbam_spatial",
        target="zoo_plugins.mixed.cbam:SpatialGate",
        family="spatial",
        identity="exact",
        identity_gate=0.5,
        paper=CBAM_PAPER,
        license="MIT",
        reference="authors",
        verified="cases",
        key_map=((r"(^|\.)spatial\.(conv|bn)\.", r"\1conv.\2."),),
        notes="The spatial half of cbam. Its batch norm is in the authors' code, not in the paper.",
    ),
    AttentionSpec(
        name="dual_attention_position",
        aliases=("danet_position", "pam"),
        target="zoo_plugins.spatial.dual_attention_position:DualAttentionPosition",
        family="spatial",
        quadratic=True,
        identity="exact",
        identity_gate=1.0,
        dead_parameters=(r"(^|\.)key\.bias$",),  # taken out again by the softmax
        paper=DANET_PAPER,
        license="MIT",
        reference="authors",
        verified="cases",
        key_map=((r"(^|\.)(query|key|value)_conv\.", r"\1\2."),),
        notes="Computes what the paper says; the logits are not scaled.",
    ),
    AttentionSpec(
        name="sge",
        aliases=("spatial_group_enhance",),
        target="zoo_plugins.spatial.sge:SpatialGroupEnhance",
        family="spatial",
        identity="exact",
        identity_gate=0.7310585786300049,  # sigmoid(1)
        paper=SGE_PAPER,
        license="none stated in the repository",
        reference="authors",
        verified="cases",
        notes="64 groups in the authors' networks; here the greatest number that divides both.",
    ),
    AttentionSpec(
        name="picanet_global",
        target="zoo_plugins.spatial.picanet_global:PicanetGlobal",
        family="spatial",
        placement="stage",
        needs_size=True,
        dead_parameters=(r"(^|\.)weigh\.bias$",),  # taken out again by the norm
        paper=PICANET_PAPER,
        license="BSD-2-Clause (Caffe); none stated for the additions",
        reference="transcribed",
        verified="cases",
        key_map="zoo_plugins.spatial.picanet_global:carry_keys",
        reference_call="zoo_plugins.spatial.picanet_global:reference_call",
        notes="A batch norm stands before the softmax; columns are scanned before rows.",
    ),
    AttentionSpec(
        name="picanet_local",
        target="zoo_plugins.spatial.picanet_local:PicanetLocal",
        family="spatial",
        placement="stage",
        dead_parameters=(r"(^|\.)weigh\.bias$",),  # taken out again by the norm
        paper=PICANET_PAPER,
        license="BSD-2-Clause (Caffe); none stated for the additions",
        reference="transcribed",
        verified="cases",
        key_map=(
            (r"(^|\.)pool_att_1\.", r"\1conv."),
            (r"(^|\.)pool_att_raw\.", r"\1weigh."),
            (r"(^|\.)pool_att_bn\.", r"\1bn."),
        ),
        reference_call="zoo_plugins.spatial.picanet_local:reference_call",
        notes="A batch norm stands before the softmax; neighbours outside the map take part in it.",
    ),
    AttentionSpec(
        name="span",
        aliases=("spatial_pyramid",),
        target="zoo_plugins.spatial.span:SpatialPyramidAttention",
        family="spatial",
        placement="between_stages",  # at C = 2048 it would have 1.3e9 parameters
        # where the dilation is beyond the map, one position against zeros: the softmax saturates
        dead_parameters=(r"(^|\.)blocks\.[34]\.(query|key)\.weight$",),
        paper=SPAN_PAPER,
        license="none stated; CC-BY-4.0 (the port with position projections)",
        reference="independent",
        verified="cases",
        key_map="zoo_plugins.spatial.span:carry_keys",
        reference_call="zoo_plugins.spatial.span:reference_call",
        notes=(
            "From a Keras layer and a port whose reshape is mended; the logits are divided by 8 "
            "whatever D is, and offsets outside the map take attention."
        ),
    ),
    AttentionSpec(
        name="spatial_spectral",
        aliases=("tsa", "tsa_net"),
        target="zoo_plugins.spatial.spatial_spectral:SpatialSpectral",
        family="spatial",
        placement="between_stages",
        needs_size=True,
        channel_arguments=("in_channels", "out_channels"),
        dead_parameters=(r"(^|\.)(conv[12]|down_sample\.\d+)\.0\.bias$",),  # norms take them out
        paper=TSA_PAPER,
        license="none stated in the repository",
        reference="authors",
        verified="cases",
        key_map=((r"^(.*\.)?(uSpatial|uSpectral|attn_scale|mask)$", ""),),  # constants
        reference_call="zoo_plugins.spatial.spatial_spectral:reference_call",
        notes="The authors' PyTorch code, by their account simpler than the paper's (TensorFlow).",
    ),
    *_two_inputs.ATTENTIONS,
)


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS
