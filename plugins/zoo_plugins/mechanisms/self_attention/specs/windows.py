"""Self-attention in which a position of a map sees what is near it. No torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.self_attention"
NO_DROPOUT = {"attn_drop": 0.0, "proj_drop": 0.0}  # of the authors' code, for training

ATTENTIONS = (
    AttentionSpec(
        name="outlook",
        aliases=("outlook_attention", "volo"),
        target=f"{PACKAGE}.outlook:Outlook",
        family="self_attention",
        insertion=Insertion(folds_tokens=True),
        options=OptionNames(channels=("dim",), fixed={"bias": True}),
        provenance=Provenance(
            paper=papers.OUTLOOK,
            license="Apache-2.0",
            reference="transcribed",
            verified="cases",
            reference_call=f"{PACKAGE}.outlook:reference_call",
            notes="qkv_bias is of the values only.",
        ),
    ),
    AttentionSpec(
        name="window",
        aliases=("window_attention", "w_msa", "sw_msa", "shifted_window"),
        target=f"{PACKAGE}.window:WindowedAttention",
        family="self_attention",
        insertion=Insertion(folds_tokens=True),
        options=OptionNames(channels=("dim",), fixed={"bias": True}),
        provenance=Provenance(
            paper=papers.WINDOW,
            license="Apache-2.0",
            reference="transcribed",
            verified="cases",
            key_map=((r".*relative_position_index$", ""),),  # of the authors; computed here
            reference_call=f"{PACKAGE}.window:reference_call",
            notes=(
                "Maps are cut into windows, and shifted by shift_size; a reference case records "
                "the layer on windows."
            ),
        ),
    ),
    AttentionSpec(
        name="neighborhood",
        aliases=("na", "nat", "dinat", "natten", "neighborhood_attention"),
        target=f"{PACKAGE}.neighborhood:Neighborhood",
        family="self_attention",
        insertion=Insertion(folds_tokens=True),
        options=OptionNames(channels=("dim",), fixed={"bias": True, **NO_DROPOUT}),
        provenance=Provenance(
            paper=papers.NEIGHBORHOOD,
            license="MIT",
            reference="authors",
            verified="cases",
            reference_call=f"{PACKAGE}.neighborhood:reference_call",
            notes=(
                "Windows move inwards at the border. Computes what NATTEN 0.14 does; versions from "
                "0.20 on have no relative bias."
            ),
        ),
    ),
    AttentionSpec(
        name="grid",
        aliases=("grid_attention", "maxvit", "max_sa", "multi_axis"),
        target=f"{PACKAGE}.grid:Grid",
        family="self_attention",
        insertion=Insertion(folds_tokens=True),
        options=OptionNames(
            channels=("dim",),
            aliases={"dim_head": "head_dim", "proj_bias": "bias"},
            read=f"{PACKAGE}.grid:read_options",
        ),
        provenance=Provenance(
            paper=papers.MAXVIT,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            key_map=((r"(^|\.)attn\.(qkv|proj|rel_pos)\.", r"\1\2."),),
            reference_call=f"{PACKAGE}.grid:reference_call",
            notes=(
                "The authors' code is in TensorFlow; the cases are of timm's, which refuses maps "
                "that the partition does not divide. partition_type='block' is the other half."
            ),
        ),
    ),
    AttentionSpec(
        name="cascaded_group",
        aliases=("cga", "cascaded_group_attention", "efficientvit"),
        target=f"{PACKAGE}.cascaded_group:CascadedGroup",
        family="self_attention",
        insertion=Insertion(folds_tokens=True),
        options=OptionNames(
            channels=("dim",),
            aliases={"kernels": "kernel_size", "window_resolution": "window_size"},
            read=f"{PACKAGE}.cascaded_group:read_options",
        ),
        provenance=Provenance(
            paper=papers.CASCADED_GROUP,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=(
                (r"(^|\.)attn\.(qkvs|dws|proj|attention_biases)", r"\1\2"),
                (r"^(.*\.)?attention_bias_idxs$", ""),
                (r"\.c\.weight$", ".conv.weight"),
            ),
            notes="In windows, as in the authors' networks; window_size of the map is global.",
        ),
    ),
    AttentionSpec(
        name="focal_modulation",
        aliases=("focal", "focalnet"),
        target=f"{PACKAGE}.focal_modulation:FocalModulation",
        family="self_attention",
        insertion=Insertion(folds_tokens=True),
        options=OptionNames(
            channels=("dim",), aliases={"use_postln_in_modulation": "use_post_norm"}
        ),
        provenance=Provenance(
            paper=papers.FOCAL_MODULATION,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=((r"(^|\.)ln\.", r"\1norm."),),
            reference_call=f"{PACKAGE}.focal_modulation:reference_call",
            notes="No attention map: contexts of growing kernels are gated and multiplied with q.",
        ),
    ),
    AttentionSpec(
        name="aggregated",
        aliases=("aggregated_attention", "transnext"),
        target=f"{PACKAGE}.aggregated:Aggregated",
        family="self_attention",
        contract="tokens",
        insertion=Insertion(role="replace_mixer", quadratic=True, needs_size=True),
        options=OptionNames(
            channels=("dim",),
            aliases={
                "input_size": "feat_size",
                "input_resolution": "feat_size",
                "sr_ratio": "reduction",
                "fixed_pool_size": "pool_size",
            },
            fixed={"bias": True, **NO_DROPOUT},
        ),
        provenance=Provenance(
            paper=papers.TRANSNEXT,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            notes=(
                "Computes what the paper says. The authors' layer is handed the offsets, which are "
                "made here."
            ),
        ),
    ),
)
