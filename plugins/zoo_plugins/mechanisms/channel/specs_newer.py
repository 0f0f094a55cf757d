"""Channel attention that is younger than the survey, or not in it. Stated without torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Width
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.channel"
ACT = ("act_layer",)  # timm's builders hand one to every attention; these have none to choose

ATTENTIONS = (
    AttentionSpec(
        name="eca_mlp",
        aliases=("ecam",),
        target=f"{PACKAGE}.eca:EfficientChannelAttention",
        family="channel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(defaults={"use_mlp": True}, fixed={"bias": True}, width=Width()),
        provenance=Provenance(
            paper=papers.ECA,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes=(
                "eca with use_mlp=True, an experiment of timm that the paper does not have: two "
                "convolutions over the channels, with some planes between them."
            ),
        ),
    ),
    AttentionSpec(
        name="gated_channel_transformation",
        aliases=("gct", "gated_channel"),
        target=f"{PACKAGE}.gated_channel_transformation:GatedChannelTransformation",
        family="channel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(aliases={"epsilon": "eps", "num_channels": "channels"}, ignored=ACT),
        provenance=Provenance(
            paper=papers.GATED_CHANNEL_TRANSFORMATION,
            license="none stated for the PyTorch code",
            reference="authors",
            verified="cases",
            notes=(
                "The authors put it before each convolution and exempt beta from weight decay; "
                "the zoo puts it after a block's last norm, as all others."
            ),
        ),
    ),
    AttentionSpec(
        name="style_recalibration",
        aliases=("srm", "style_based_recalibration"),
        target=f"{PACKAGE}.style_recalibration:StyleRecalibration",
        family="channel",
        insertion=Insertion(identity="exact", default_form="residual"),
        options=OptionNames(aliases={"channel": "channels"}, fixed={"norm": "batch"}, ignored=ACT),
        provenance=Provenance(
            paper=papers.STYLE_RECALIBRATION,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            notes=(
                "The variance is unbiased. A map of one position, NaN in the authors' code, has "
                "the variance zero."
            ),
        ),
    ),
    AttentionSpec(
        name="normalization_based",
        aliases=("nam", "normalization_based_attention"),
        target=f"{PACKAGE}.normalization_based:NormalizationBased",
        family="channel",
        options=OptionNames(
            fixed={"norm": "batch", "spatial": False, "no_spatial": True},
            ignored=(*ACT, "out_channels", "shape", "t"),  # the last three by the authors too
        ),
        provenance=Provenance(
            paper=papers.NORMALIZATION_BASED,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            key_map=((r"(^|\.)Channel_Att\.bn2\.", r"\1bn."),),
            notes=(
                "The channel half, which is all that the authors' code has. It takes the scales' "
                "absolute values, and no gradient reaches them through the weights."
            ),
        ),
    ),
    AttentionSpec(
        name="linear_context",
        aliases=("lct", "linear_context_transform"),
        target=f"{PACKAGE}.linear_context:LinearContext",
        family="channel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(ignored=ACT),
        provenance=Provenance(
            paper=papers.LINEAR_CONTEXT,
            license="MIT",
            reference="independent",
            verified="cases",
            key_map=((r"(^|\.)w$", r"\1norm.weight"), (r"(^|\.)b$", r"\1norm.bias")),
            notes=(
                "No code of the authors was found; a port and the equations agree. The authors' "
                "start and eps are not confirmed."
            ),
        ),
    ),
    AttentionSpec(
        name="mixed_local_channel",
        aliases=("mlca", "mixed_local_channel_attention"),
        target=f"{PACKAGE}.mixed_local_channel:MixedLocalChannel",
        family="channel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(aliases={"in_size": "channels", "b": "beta"}, ignored=ACT),
        provenance=Provenance(
            paper=papers.MIXED_LOCAL_CHANNEL,
            license="GPL-3.0",
            reference="authors",
            verified="cases",
            notes=(
                "The local convolution runs over all positions as one sequence, and leaks from "
                "the last channels of one into the first of the next; unpooling averages cells "
                "where the regions do not divide the map."
            ),
        ),
    ),
    AttentionSpec(
        name="multidimensional_collaborative",
        aliases=("multidimensional_collaborative_attention",),
        shared_names=("mca",),
        target=f"{PACKAGE}.multidimensional_collaborative:MultidimensionalCollaborative",
        family="channel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(
            aliases={"inp": "channels"},
            fixed={"pool_types": ("avg", "std")},
            ignored=ACT,
            read=f"{PACKAGE}.multidimensional_collaborative:read_options",
        ),
        provenance=Provenance(
            paper=papers.MULTIDIMENSIONAL_COLLABORATIVE,
            license="GPL-3.0",
            reference="authors",
            verified="cases",
            key_map=(
                (r"(^|\.)h_cw\.", r"\1height."),
                (r"(^|\.)w_hc\.", r"\1width."),
                (r"(^|\.)c_hw\.", r"\1channel."),
            ),
            notes=(
                "The authors' no_spatial=True leaves out the gate of the channels. Their code "
                "fails for 2 and 3 channels."
            ),
        ),
    ),
)
