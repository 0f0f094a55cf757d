"""Gates of rows and columns, which know where they are. No torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial, Width
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.mixed"
ACT = ("act_layer",)  # timm's builders hand one to every attention; these have none to choose

ATTENTIONS = (
    AttentionSpec(
        name="coordinate",
        aliases=("coord", "coordatt"),
        target=f"{PACKAGE}.coordinate:CoordinateAttention",
        family="mixed",
        insertion=Insertion(identity="exact"),
        options=OptionNames(ignored=ACT, width=Width(minimum=8)),
        provenance=Provenance(
            paper=papers.COORDINATE,
            license="MIT",
            reference="authors",
            verified="cases",
            notes="timm's layer has no biases and another hidden width: variant='timm'.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)conv1\.bias$",)),
    ),
    AttentionSpec(
        name="simple_coordinate",
        aliases=("scoord", "simple_coord"),
        shared_names=("sca",),
        target=f"{PACKAGE}.simple_coordinate:SimpleCoordinate",
        family="mixed",
        insertion=Insertion(identity="exact", default_form="residual"),
        options=OptionNames(width=Width(), read=f"{PACKAGE}.simple_coordinate:read_options"),
        provenance=Provenance(
            paper=papers.COORDINATE,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes=(
                "An experiment of timm without a paper of its own: linear layers, no norm, and "
                "one sigmoid of a sum where coordinate attention multiplies two."
            ),
        ),
    ),
    AttentionSpec(
        name="triplet",
        aliases=("triplet_attention",),
        target=f"{PACKAGE}.triplet:TripletAttention",
        family="mixed",
        insertion=Insertion(identity="exact"),
        options=OptionNames(fixed={"bias": False}, ignored=ACT),
        provenance=Provenance(
            paper=papers.TRIPLET,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=(
                (r"(^|\.)(cw|hc|hw)\.conv\.(conv|bn)\.", r"\1\2.\3."),
                (r"(^|\.)ChannelGateH\.spatial\.", r"\1cw."),
                (r"(^|\.)ChannelGateW\.spatial\.", r"\1hc."),
                (r"(^|\.)SpatialGate\.spatial\.", r"\1hw."),
            ),
            notes="Computes what the paper says; the maximum comes before the mean.",
        ),
    ),
    AttentionSpec(
        name="efficient_local",
        aliases=("ela", "efficient_local_attention"),
        target=f"{PACKAGE}.efficient_local:EfficientLocal",
        family="mixed",
        insertion=Insertion(identity="exact"),
        options=OptionNames(fixed={"gate_layer": "sigmoid"}, ignored=ACT),
        provenance=Provenance(
            paper=papers.EFFICIENT_LOCAL,
            license="none stated in the repository; Apache-2.0 (timm)",
            reference="independent",
            verified="cases",
            notes=(
                "The authors published no code. timm's layer has a convolution and a norm of one "
                "group for each direction, and SiLU: shared=False, norm_groups=1, "
                "activation='silu'."
            ),
        ),
    ),
    AttentionSpec(
        name="efficient_multi_scale",
        aliases=("efficient_multi_scale_attention",),
        shared_names=("ema",),
        target=f"{PACKAGE}.efficient_multi_scale:EfficientMultiScale",
        family="mixed",
        insertion=Insertion(identity="exact", default_form="residual"),
        options=OptionNames(aliases={"factor": "groups"}, ignored=(*ACT, "c2")),
        provenance=Provenance(
            paper=papers.EFFICIENT_MULTI_SCALE,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            notes=(
                "Its norm has one channel a group, so that one of the two pooled weights is the "
                "softmax of the norm's bias and never depends on the input; the paper says that "
                "it does."
            ),
        ),
    ),
)
