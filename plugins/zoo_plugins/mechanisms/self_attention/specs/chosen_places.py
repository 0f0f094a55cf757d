"""Self-attention in which a position of a map sees places that are chosen for it. No torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance, Trial
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.self_attention"
NO_DROPOUT = {"attn_drop": 0.0, "proj_drop": 0.0}  # of the authors' code, for training

ATTENTIONS = (
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
)
