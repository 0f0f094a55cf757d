"""Specs of self-attention that sees a part of a map: near, sampled or chosen places. No torch."""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.self_attention"
NO_DROPOUT = {"attn_drop": 0.0, "proj_drop": 0.0}  # of the authors' code, for training

ATTENTIONS = (
    AttentionSpec(
        name="neighborhood",
        aliases=("na", "nat", "dinat", "natten", "neighborhood_attention"),
        target=f"{PACKAGE}.neighborhood:Neighborhood",
        family="self_attention",
        insertion=Insertion(mixes_positions=True),
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
        insertion=Insertion(mixes_positions=True),
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
)
