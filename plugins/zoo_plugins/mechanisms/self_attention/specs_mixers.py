"""Self-attention on maps that stands in younger networks as their token mixer. No torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.self_attention"

ATTENTIONS = (
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
        name="single_head",
        aliases=("shsa", "shvit", "single_head_attention"),
        target=f"{PACKAGE}.single_head:SingleHead",
        family="self_attention",
        insertion=Insertion(folds_tokens=True, quadratic=True),
        options=OptionNames(channels=("dim",), aliases={"partial_dim": "pdim"}),
        provenance=Provenance(
            paper=papers.SHVIT,
            license="MIT",
            reference="authors",
            verified="cases",
            notes="timm's layer computes the same.",
        ),
        trial=Trial(dead_parameters=(r"(^|\.)pre_norm\.bias$",)),
    ),
)
