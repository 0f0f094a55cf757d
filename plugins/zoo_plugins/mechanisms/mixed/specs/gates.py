"""A gate for the channels and a gate for the positions, one after the other or joined. No torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial, Width
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.mixed"
ACT = ("act_layer",)  # timm's builders hand one to every attention; these have none to choose

ATTENTIONS = (
    AttentionSpec(
        name="cbam_channel",
        target=f"{PACKAGE}.cbam:ChannelGate",
        family="channel",
        insertion=Insertion(identity="exact", default_form="residual"),
        options=OptionNames(width=Width(divisor=1)),
        provenance=Provenance(
            paper=papers.CBAM,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=((r"(^|\.)mlp\.1\.", r"\1fc1."), (r"(^|\.)mlp\.3\.", r"\1fc2.")),
            notes="The channel half of cbam.",
        ),
    ),
    AttentionSpec(
        name="cbam_spatial",
        target=f"{PACKAGE}.cbam:SpatialGate",
        family="spatial",
        insertion=Insertion(identity="exact"),
        options=OptionNames(fixed={"bias": False}, ignored=ACT),
        provenance=Provenance(
            paper=papers.CBAM,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=((r"(^|\.)spatial\.(conv|bn)\.", r"\1conv.\2."),),
            notes=(
                "The spatial half of cbam. Its batch norm is in the authors' code, not in the "
                "paper."
            ),
        ),
    ),
    AttentionSpec(
        name="cbam",
        target=f"{PACKAGE}.cbam:Cbam",
        family="mixed",
        insertion=Insertion(identity="exact", default_form="residual"),
        options=OptionNames(width=Width(divisor=1)),
        provenance=Provenance(
            paper=papers.CBAM,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=(
                (r"(^|\.)ChannelGate\.mlp\.1\.", r"\1channel.fc1."),
                (r"(^|\.)ChannelGate\.mlp\.3\.", r"\1channel.fc2."),
                (r"(^|\.)SpatialGate\.spatial\.", r"\1spatial.conv."),
            ),
            notes=(
                "The code has biases in the MLP and a batch norm after the 7x7 convolution; the"
                " paper's equations have neither. timm stacks the mean before the maximum."
            ),
        ),
    ),
    AttentionSpec(
        name="bam",
        aliases=("bottleneck_attention_module",),
        target=f"{PACKAGE}.bam:Bam",
        family="mixed",
        insertion=Insertion(placement="between_stages", identity="exact"),
        options=OptionNames(
            fixed={"bias": True, "norm": "batch"}, ignored=ACT, width=Width(divisor=1)
        ),
        provenance=Provenance(
            paper=papers.BAM,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=(
                (r"(^|\.)channel_att\.gate_c\.gate_c_", r"\1channel."),
                (r"(^|\.)spatial_att\.gate_s\.gate_s_", r"\1spatial."),
            ),
            notes=(
                "The code multiplies the two branches, the paper adds them; the code norms "
                "every hidden layer, the paper the end of each branch."
            ),
        ),
        trial=Trial(
            dead_parameters=(
                r"(^|\.)channel\.fc_(\d+|final)\.bias$",
                r"(^|\.)spatial\.conv_(reduce0|di_\d+|final)\.bias$",
            )
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
        name="simam",
        target=f"{PACKAGE}.simam:SimAM",
        family="mixed",
        options=OptionNames(ignored=(*ACT, "device", "dtype")),
        provenance=Provenance(
            paper=papers.SIMAM,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            notes="The code divides the variance by HW - 1; the paper's equation 5 by HW.",
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
)
