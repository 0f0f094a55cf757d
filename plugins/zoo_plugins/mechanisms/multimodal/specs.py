"""Attention between two inputs. What is stated of each mechanism, without torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial, Width
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.multimodal"

ATTENTIONS = (
    AttentionSpec(
        name="cross_attention_network",
        aliases=("can", "fewshot_can"),
        target=f"{PACKAGE}.cross_attention_network:CrossAttentionNetwork",
        family="multimodal",
        contract="map_pair",
        insertion=Insertion(role="none", quadratic=True),
        options=OptionNames(read=f"{PACKAGE}.authors:cross_attention_network"),
        provenance=Provenance(
            paper=papers.CROSS_ATTENTION_NETWORK,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            key_map=(
                (r"(^|\.)conv1\.conv\.", r"\1fc1."),
                (r"(^|\.)conv1\.bn\.", r"\1norm."),
                (r"(^|\.)conv2\.", r"\1fc2."),
            ),
            notes="Built for one number of positions, 6 x 6 unless said otherwise.",
        ),
        trial=Trial(
            example=f"{PACKAGE}.cross_attention_network:example",
            dead_parameters=(r"(^|\.)fc1\.bias$",),
        ),
    ),
    AttentionSpec(
        name="co_excitation",
        aliases=("coae", "co_attention_co_excitation"),
        target=f"{PACKAGE}.co_excitation:CoExcitation",
        family="multimodal",
        contract="map_pair",
        insertion=Insertion(role="none"),
        options=OptionNames(width=Width()),
        provenance=Provenance(
            paper=papers.CO_EXCITATION,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=(
                (r"^(.*\.)?concat_project\..*$", ""),
                (r"(^|\.)W\.(?!\d)", r"\1query_out.0."),
                (r"(^|\.)Q\.(?!\d)", r"\1target_out.0."),
                (r"(^|\.)W\.", r"\1query_out."),
                (r"(^|\.)Q\.", r"\1target_out."),
                (r"(^|\.)ChannelGate\.mlp\.1\.", r"\1gate.fc1."),
                (r"(^|\.)ChannelGate\.mlp\.3\.", r"\1gate.fc2."),
            ),
            notes="The paper squeezes by a mean; the code by CBAM's channel gate.",
        ),
        trial=Trial(
            example=f"{PACKAGE}.co_excitation:example",
            dead_parameters=(r"(^|\.)(query|target)_out\.0\.bias$",),
        ),
    ),
    AttentionSpec(
        name="stacked_cross",
        aliases=("scan", "stacked_cross_attention"),
        shared_names=("sca",),
        target=f"{PACKAGE}.stacked_cross:StackedCross",
        family="multimodal",
        contract="context",
        masked=True,
        insertion=Insertion(role="none"),
        options=OptionNames(channels=("dim",)),
        provenance=Provenance(
            paper=papers.STACKED_CROSS,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            reference_call=f"{PACKAGE}.stacked_cross:reference_call",
            notes=(
                "The code clips by a leaky ReLU of slope 0.1, the paper at zero: leaky_slope=0."
            ),
        ),
        trial=Trial(example=f"{PACKAGE}.stacked_cross:example"),
    ),
    AttentionSpec(
        name="boosted",
        aliases=("boosted_attention",),
        target=f"{PACKAGE}.boosted:Boosted",
        family="multimodal",
        insertion=Insertion(placement="stage"),
        options=OptionNames(ignored=("act_layer",)),
        provenance=Provenance(
            paper=papers.BOOSTED,
            license="n/a",
            reference="equations",
            verified="equations",
            reference_call=f"{PACKAGE}.boosted:reference_call",
            notes=(
                "The stimulus-driven half; what the equation leaves open is stated with the module."
            ),
        ),
    ),
    AttentionSpec(
        name="x_linear",
        aliases=("xlan", "x_linear_attention"),
        target=f"{PACKAGE}.x_linear:x_linear",
        family="multimodal",
        contract="context",
        masked=True,
        insertion=Insertion(role="none"),
        options=OptionNames(
            channels=("dim",),
            aliases={"layers": "num_layers"},
            read=f"{PACKAGE}.authors:x_linear",
        ),
        provenance=Provenance(
            paper=papers.X_LINEAR,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            key_map=(
                (r"(^|\.)layers\.(\d+)\.encoder_attn\.", r"\1blocks.\2."),
                (r"(^|\.)in_proj_(q|k|v1|v2)\.0\.", r"\1\2.linear."),
                (r"(^|\.)in_proj_(q|k|v1|v2)\.[12]\.", r"\1\2.norm."),
                (r"(^|\.)attn_net\.attention_basic\.0\.", r"\1mid."),
                (r"(^|\.)attn_net\.attention_last\.", r"\1spatial."),
                (r"(^|\.)attn_net\.attention_last2\.", r"\1channel."),
                (r"(^|\.)bifeat_emb\.", r"\1mixers."),
                (r"(^|\.)layer_norms\.", r"\1norms."),
                (r"(^|\.)layer_norm\.", r"\1norm."),
            ),
            reference_call=f"{PACKAGE}.x_linear:reference_call",
            notes="The paper's block has ReLUs; the authors train with CELU, alpha 1.3.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)spatial\.bias$",)),
    ),
    AttentionSpec(
        name="self_mutual",
        aliases=("s2ma", "selective_self_mutual"),
        target=f"{PACKAGE}.self_mutual:SelfMutual",
        family="multimodal",
        contract="map_pair",
        insertion=Insertion(role="none", quadratic=True),
        options=OptionNames(width=Width()),
        provenance=Provenance(
            paper=papers.SELF_MUTUAL,
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
            reference_call=f"{PACKAGE}.self_mutual:reference_call",
            notes="A ReLU stands before the softmax that weighs the other modality.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)phi\.bias$", r"(^|\.)select\.0\.bias$")),
    ),
    AttentionSpec(
        name="perceiver",
        target=f"{PACKAGE}.perceiver:perceiver",
        family="multimodal",
        contract="set",
        masked=True,
        insertion=Insertion(role="none"),
        options=OptionNames(
            aliases={"context_dim": "channels", "num_heads": "cross_heads"},
            read=f"{PACKAGE}.authors:perceiver",
        ),
        provenance=Provenance(
            paper=papers.PERCEIVER,
            license="Apache-2.0",
            reference="transcribed",
            verified="cases",
            key_map=f"{PACKAGE}.perceiver_authors:from_authors",
            reference_call=f"{PACKAGE}.perceiver:reference_call",
            notes=(
                "The released code reads the input once, the ICML paper several times. The port"
                " has no biases in q, k, v, and GEGLU perceptrons four times as wide."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)k\.bias$",)),
    ),
)
