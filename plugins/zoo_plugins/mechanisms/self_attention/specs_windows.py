"""Specs of self-attention that sees a part of a map: near, sampled or chosen places. No torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.self_attention"
NO_DROPOUT = {"attn_drop": 0.0, "proj_drop": 0.0}  # of the authors' code, for training

ATTENTIONS = (
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
        name="bi_level_routing",
        aliases=("bra", "bi_level_routing_attention", "biformer"),
        target=f"{PACKAGE}.bi_level_routing:BiLevelRouting",
        family="self_attention",
        insertion=Insertion(folds_tokens=True),
        options=OptionNames(
            channels=("dim",),
            fixed={
                "qk_scale": None,
                "kv_downsample_mode": "identity",
                "param_attention": "qkvo",
                "param_routing": False,
                "diff_routing": False,
                "soft_routing": False,
            },
            read=f"{PACKAGE}.bi_level_routing:read_options",
        ),
        provenance=Provenance(
            paper=papers.BIFORMER,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=(
                (r"(^|\.)(qkv\.qkv|qkv_linear)\.", r"\1qkv."),
                (r"(^|\.)(wo|output_linear)\.", r"\1proj."),
            ),
            reference_call=f"{PACKAGE}.bi_level_routing:reference_call",
            notes=(
                "The authors' scale is that of the whole width, not of a head. Their two classes "
                "pad differently: variant. Soft and learned routing, which their networks do not "
                "use, and pooled keys are left out."
            ),
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
    AttentionSpec(
        name="deformable",
        aliases=("dat", "deformable_attention"),
        target=f"{PACKAGE}.deformable:Deformable",
        family="self_attention",
        insertion=Insertion(folds_tokens=True, quadratic=True, needs_size=True),
        options=OptionNames(
            channels=("dim",),
            aliases={"input_size": "feat_size", "n_groups": "groups", "ksize": "kernel_size"},
            fixed={"bias": True, **NO_DROPOUT},
            read=f"{PACKAGE}.deformable:read_options",
        ),
        provenance=Provenance(
            paper=papers.DAT,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            key_map=f"{PACKAGE}.deformable:from_authors",
            notes=(
                "The authors changed the places that are sampled after the paper: variant. Their "
                "later grid is off by half a place and fails on a single one."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)proj_k\.bias$",)),
    ),
    AttentionSpec(
        name="ms_deformable",
        aliases=("msda", "ms_deform_attn", "ms_deformable_attention", "deformable_detr"),
        target=f"{PACKAGE}.ms_deformable:MSDeformable",
        family="self_attention",
        contract="tokens",
        insertion=Insertion(role="replace_mixer", needs_size=True),
        options=OptionNames(
            channels=("dim",),
            aliases={
                "d_model": "dim",
                "embed_dims": "dim",
                "n_heads": "num_heads",
                "n_levels": "num_levels",
                "n_points": "num_points",
            },
            fixed={"bias": True},
            ignored=("reference_dim", "padding_mask"),  # of a recorded call, not of the module
        ),
        provenance=Provenance(
            paper=papers.DEFORMABLE_DETR,
            license="Apache-2.0",
            reference="authors",
            verified="cases",
            reference_call=f"{PACKAGE}.ms_deformable:reference_call",
            notes=(
                "Queries attend to maps of several levels; of tokens alone, the positions of the "
                "levels are the queries. The authors' layer takes shapes and starts of levels as "
                "tensors."
            ),
        ),
    ),
    AttentionSpec(
        name="acmix",
        aliases=("ac_mix",),
        target=f"{PACKAGE}.acmix:ACmix",
        family="self_attention",
        contract="map_channels",
        insertion=Insertion(role="replace_conv", folds_tokens=True, keeps_norm=True),
        options=OptionNames(
            aliases={
                "in_planes": "in_channels",
                "out_planes": "out_channels",
                "head": "num_heads",
                "kernel_att": "kernel_size",
            },
            fixed={"kernel_conv": 3},
            ignored=("dilation", "groups"),  # what a replaced convolution says of itself
            read=f"{PACKAGE}.acmix:read_options",
        ),
        provenance=Provenance(
            paper=papers.ACMIX,
            license="none stated in the repository",
            reference="authors",
            verified="cases",
            notes=(
                "The two paths order their channels differently and are added so. The authors' "
                "Swin form is left out."
            ),
        ),
        trial=Trial(dead_parameters=(r"(^|\.)conv_p\.bias$",)),
    ),
)
