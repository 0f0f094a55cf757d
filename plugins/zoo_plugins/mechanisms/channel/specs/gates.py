"""A gate for each channel, from what is pooled over the map. No torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial, Width
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.channel"
ACT = ("act_layer",)  # timm's builders hand one to every attention; these have none to choose
SETTINGS = f"{PACKAGE}.settings"

ATTENTIONS = (
    AttentionSpec(
        name="se",
        aliases=("squeeze_excite", "senet"),
        target=f"{PACKAGE}.se:SqueezeExcite",
        family="channel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(width=Width()),
        provenance=Provenance(
            paper=papers.SE,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes="The authors round the hidden width down, timm to a multiple of 8.",
        ),
    ),
    AttentionSpec(
        name="eca",
        aliases=("efficient_channel",),
        target=f"{PACKAGE}.eca:EfficientChannelAttention",
        family="channel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(width=Width(), read=f"{PACKAGE}.eca:read_options"),
        provenance=Provenance(
            paper=papers.ECA,
            license="MIT",
            reference="authors",
            verified="cases",
            notes=(
                "The authors set the kernel size by hand for each stage; the paper computes it."
            ),
        ),
    ),
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
        name="ceca",
        aliases=("circular_efficient_channel",),
        target=f"{PACKAGE}.ceca:CircularEfficientChannelAttention",
        family="channel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(fixed={"bias": False}, ignored=ACT),
        provenance=Provenance(
            paper=papers.CECA,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            notes="eca with the channels in a circle; its author's code is timm's.",
        ),
    ),
    AttentionSpec(
        name="effective_se",
        aliases=("ese", "effective_squeeze_excite"),
        target=f"{PACKAGE}.effective_se:EffectiveSqueezeExcite",
        family="channel",
        insertion=Insertion(identity="exact", default_form="residual"),
        options=OptionNames(aliases={"gate": "gate_layer"}, ignored=ACT),
        provenance=Provenance(
            paper=papers.EFFECTIVE_SE,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes="timm's layer computes what the authors' code does.",
        ),
    ),
    AttentionSpec(
        name="global_context",
        aliases=("gc", "gca", "gcnet"),
        target=f"{PACKAGE}.global_context:GlobalContext",
        family="channel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(
            fixed={"bias": True, "norm": "layer"},
            width=Width(divisor=1),
            read=f"{SETTINGS}:global_context",
        ),
        provenance=Provenance(
            paper=papers.GLOBAL_CONTEXT,
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
        trial=Trial(dead_parameters=(r"(^|\.)conv_attn\.bias$",)),
    ),
    AttentionSpec(
        name="fca",
        aliases=("fcanet", "frequency_channel"),
        target=f"{PACKAGE}.fca:FrequencyChannelAttention",
        family="channel",
        insertion=Insertion(identity="exact", default_form="residual", needs_size=True),
        options=OptionNames(
            aliases={"freq_sel_method": "frequencies"},
            ignored=ACT,
            width=Width(divisor=1),
            read=f"{SETTINGS}:fca",
        ),
        provenance=Provenance(
            paper=papers.FCA,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=(
                (r"^(.*\.)?dct_layer\.weight$", ""),
                (r"(^|\.)fc\.0\.", r"\1fc1."),
                (r"(^|\.)fc\.2\.", r"\1fc2."),
            ),
            notes=(
                "The rankings of frequencies are the code's; basis images smaller than 7 x 7 "
                "leave only the lowest frequency."
            ),
        ),
    ),
    AttentionSpec(
        name="soca",
        aliases=("second_order_channel",),
        target=f"{PACKAGE}.soca:SecondOrderChannelAttention",
        family="channel",
        insertion=Insertion(identity="exact"),
        options=OptionNames(ignored=ACT, width=Width(divisor=1)),
        provenance=Provenance(
            paper=papers.SECOND_ORDER,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            key_map=((r"(^|\.)conv_du\.0\.", r"\1fc1."), (r"(^|\.)conv_du\.2\.", r"\1fc2.")),
            notes=(
                "The covariance is divided by the number of positions and, beyond 1000 x 1000, "
                "taken from the centre; the code's default r is 8, its network's 16."
            ),
        ),
    ),
    AttentionSpec(
        name="gather_excite",
        aliases=("ge", "genet"),
        target=f"{PACKAGE}.gather_excite:GatherExcite",
        family="channel",
        insertion=Insertion(needs_size=True),
        options=OptionNames(ignored=ACT, width=Width(divisor=1)),
        provenance=Provenance(
            paper=papers.GATHER_EXCITE,
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
