"""The attentional class feature. No torch."""

from zoo.specs import AttentionSpec, Paper

ACF = AttentionSpec(
    name="acf",
    aliases=("acfnet", "attentional_class_feature"),
    target="zoo_plugins.class_based.acf:AttentionalClassFeature",
    family="class_based",
    contract="map_pair",
    role="none",
    channel_arguments=("in_channels", "channels"),
    variants=("paper", "port"),
    paper=Paper(
        title="ACFNet: Attentional Class Feature Network for Semantic Segmentation",
        authors="Fan Zhang et al.",
        venue="ICCV",
        year=2019,
        arxiv="1909.09408",
    ),
    license="none stated (the unofficial port)",
    reference="independent",
    verified="equations",
    key_map=((r"(^|\.)conv1\.0\.", r"\1conv1."), (r"(^|\.)conv1\.1\.", r"\1norm.")),
    example="zoo_plugins.class_based.acf:example",
    notes=(
        "Class centers are means weighted by probabilities; variant='port', the default where bias "
        "is given, has the softmax of the unofficial codes, and reproduces their case."
    ),
)
