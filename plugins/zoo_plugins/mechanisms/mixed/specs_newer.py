"""Channel and spatial attention together, younger than the survey. Stated without torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial, Width
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.mixed"
ACT = ("act_layer",)  # timm's builders hand one to every attention; these have none to choose

ATTENTIONS = (
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
        name="simple_coordinate",
        aliases=("scoord", "simple_coord"),
        shared_names=("sca",),
        target=f"{PACKAGE}.simple_coordinate:SimpleCoordinate",
        family="mixed",
        insertion=Insertion(identity="exact"),
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
        name="light_cbam",
        aliases=("lcbam",),
        target=f"{PACKAGE}.light_cbam:LightCbam",
        family="mixed",
        insertion=Insertion(identity="exact", default_form="residual"),
        options=OptionNames(
            aliases={"mlp_bias": "bias", "spatial_kernel_size": "kernel_size"},
            ignored=("gate_layer",),  # by timm's module too
            width=Width(divisor=1),
        ),
        provenance=Provenance(
            paper=papers.CBAM,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes=(
                "An experiment of timm without a paper of its own: the mean and the maximum are "
                "averaged before the perceptron and before the convolution."
            ),
        ),
    ),
    AttentionSpec(
        name="concurrent_se",
        aliases=("scse",),
        target=f"{PACKAGE}.concurrent_se:ConcurrentSE",
        family="mixed",
        insertion=Insertion(identity="exact", default_form="residual"),
        options=OptionNames(aliases={"reduction_ratio": "reduction"}, ignored=ACT, width=Width()),
        provenance=Provenance(
            paper=papers.CONCURRENT_SE,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=(
                (r"(^|\.)cSE\.(fc[12])\.", r"\1\2."),
                (r"(^|\.)cSE\.1\.", r"\1fc1."),
                (r"(^|\.)cSE\.3\.", r"\1fc2."),
                (r"(^|\.)sSE\.(conv|0)\.", r"\1conv."),
            ),
            notes=(
                "The authors' code takes the maximum of the two gated maps, the paper their sum: "
                "fusion='sum', which is also segmentation_models_pytorch's."
            ),
        ),
    ),
    AttentionSpec(
        name="attention_gate",
        aliases=("attn_gate",),
        target=f"{PACKAGE}.attention_gate:AttentionGate",
        family="mixed",
        contract="map_pair",
        insertion=Insertion(role="gate_skip"),
        options=OptionNames(
            aliases={"in_channels": "channels", "sub_sample_factor": "sub_sample"},
            fixed={"norm": "batch", "bias": True},
        ),
        provenance=Provenance(
            paper=papers.ATTENTION_GATE,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=((r"(^|\.)W\.", r"\1project."),),
            reference_call=f"{PACKAGE}.attention_gate:reference_call",
            notes=(
                "The code projects the gated map and norms it, which the paper's figure does not "
                "show. Resizing follows today's align_corners=False. With "
                "normalization='softmax' the bias of psi has no effect."
            ),
        ),
        trial=Trial(
            example=f"{PACKAGE}.attention_gate:example",
            dead_parameters=(r"(^|\.)project\.0\.bias$",),
        ),
    ),
    AttentionSpec(
        name="global_attention",
        aliases=("gam", "global_attention_mechanism"),
        target=f"{PACKAGE}.global_attention:GlobalAttention",
        family="mixed",
        insertion=Insertion(identity="exact", default_form="residual"),
        options=OptionNames(
            aliases={"rate": "reduction"},
            fixed={"norm": "batch", "bias": True},
            ignored=ACT,
            width=Width(),
        ),
        provenance=Provenance(
            paper=papers.GLOBAL_ATTENTION,
            license="GPL-3.0; none stated in the repository (another port)",
            reference="independent",
            verified="cases",
            key_map=(
                (r"(^|\.)channel_attention\.0\.", r"\1fc1."),
                (r"(^|\.)channel_attention\.2\.", r"\1fc2."),
                (r"(^|\.)spatial_attention\.0\.", r"\1conv1."),
                (r"(^|\.)spatial_attention\.1\.", r"\1bn1."),
                (r"(^|\.)spatial_attention\.3\.", r"\1conv2."),
                (r"(^|\.)spatial_attention\.4\.", r"\1bn2."),
            ),
            notes=(
                "The authors published no code, and two ports differ: one has no sigmoid on the "
                "channel part, groups the convolutions and shuffles the spatial gate; the paper "
                "leaves it open. Both are checked."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)conv[12]\.bias$",)),
    ),
    AttentionSpec(
        name="spatial_channel_synergistic",
        aliases=("scsa",),
        target=f"{PACKAGE}.spatial_channel_synergistic:SpatialChannelSynergistic",
        family="mixed",
        insertion=Insertion(identity="exact"),
        options=OptionNames(
            aliases={
                "head_num": "num_heads",
                "group_kernel_sizes": "kernel_sizes",
                "gate_layer": "gate",
                "attn_drop_ratio": "attn_drop",
            },
            ignored=(*ACT, "fuse_bn", "norm_cfg", "act_cfg"),  # the last three by the authors too
            read=f"{PACKAGE}.spatial_channel_synergistic:read_options",
        ),
        provenance=Provenance(
            paper=papers.SPATIAL_CHANNEL_SYNERGISTIC,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            notes=(
                "The authors' code fails on maps smaller than the window; here the window ends "
                "with the map. Their mode 'recombination' does not run and is left out. With "
                "gate='softmax' the biases of the strips' norms have no effect."
            ),
        ),
    ),
    AttentionSpec(
        name="s2_attention",
        aliases=("s2attention",),
        target=f"{PACKAGE}.s2_attention:S2Attention",
        family="mixed",
        options=OptionNames(fixed={"num_paths": 3}, ignored=ACT),
        provenance=Provenance(
            paper=papers.S2_MLP,
            license="MIT (the port)",
            reference="equations",
            verified="cases",
            notes=(
                "The authors published no code. Their pseudo-code and its ports shift in place "
                "between views that overlap, which smears a border; here is the shift that the "
                "paper describes."
            ),
        ),
    ),
)
