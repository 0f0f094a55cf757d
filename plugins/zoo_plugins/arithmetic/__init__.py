"""Arithmetic attention: masks and reflections, with few parameters or none."""

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec, Paper

ATTENTIONS = (
    AttentionSpec(
        name="adl",
        aliases=("attention_dropout",),
        target="zoo_plugins.arithmetic.adl:AttentionDropout",
        family="arithmetic",
        contract="regulariser",
        placement="stage",
        identity="exact",
        identity_gate=1.0,
        paper=Paper(
            title="Attention-based Dropout Layer for Weakly Supervised Object Localization",
            authors="Junsuk Choe, Hyunjung Shim",
            venue="CVPR",
            year=2019,
            arxiv="1908.10028",
        ),
        license="MIT",
        reference="transcribed",
        verified="cases",
        reference_call="zoo_plugins.arithmetic.adl:reference_call",
        notes="One draw for the whole batch; meant for maps after a ReLU.",
    ),
    AttentionSpec(
        name="reverse_segmentation",
        aliases=("reverse_attention",),
        target="zoo_plugins.arithmetic.reverse_segmentation:ReverseSegmentation",
        family="arithmetic",
        contract="map_pair",
        role="none",
        channel_arguments=("num_classes",),
        variants=("paper", "sigmoid"),
        paper=Paper(
            title="Semantic Segmentation with Reverse Attention",
            authors="Qin Huang et al.",
            venue="BMVC",
            year=2017,
            arxiv="1707.06426",
        ),
        license="n/a",
        reference="equations",
        verified="cases",
        reference_call="zoo_plugins.arithmetic.reverse_segmentation:reference_call",
        notes="The mask and its product; fusing it with the direct scores is left to the network.",
    ),
    AttentionSpec(
        name="reverse_saliency",
        aliases=("ras",),
        target="zoo_plugins.arithmetic.reverse_saliency:ReverseSaliency",
        family="arithmetic",
        contract="map_pair",
        role="none",
        variants=("eccv2018", "tip2020"),
        paper=Paper(
            title="Reverse Attention for Salient Object Detection",
            authors="Shuhan Chen, Xiuli Tan, Ben Wang, Xuelong Hu",
            venue="ECCV",
            year=2018,
            arxiv="1807.09940",
        ),
        license="none stated in the repository",
        reference="transcribed",
        verified="cases",
        key_map=(  # the conference version's names; the journal version's are kept
            (r"(^|\.)conv1\.", r"\1convert."),
            (r"(^|\.)conv2\.", r"\1convs.0."),
            (r"(^|\.)conv3\.", r"\1convs.2."),
            (r"(^|\.)conv4\.", r"\1convs.4."),
        ),
        reference_call="zoo_plugins.arithmetic.reverse_saliency:reference_call",
        example="zoo_plugins.arithmetic.reverse_saliency:example",
        notes="The journal version has the attention after the 1x1 convolution: variant='tip2020'.",
    ),
    AttentionSpec(
        name="mirror",
        aliases=("mirror_attention",),
        target="zoo_plugins.arithmetic.mirror:Mirror",
        family="arithmetic",
        contract="map_pair",
        role="none",
        paper=Paper(
            title="Semantic Line Detection Using Mirror Attention and Comparative Ranking and "
            "Matching",
            authors="Dongkwon Jin, Jun-Tae Lee, Chang-Su Kim",
            venue="ECCV",
            year=2020,
            arxiv="2007.08139",
        ),
        license="MIT",
        reference="authors",
        verified="cases",
        reference_call="zoo_plugins.arithmetic.mirror:reference_call",
        example="zoo_plugins.arithmetic.mirror:example",
        notes="The reflection is that of the normalised square: skewed on other maps.",
    ),
)


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS
