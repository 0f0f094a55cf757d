"""Spatial attention: where to attend."""

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec, Paper

ATTENTIONS = (
    AttentionSpec(
        name="cbam_spatial",
        target="zoo_plugins.mixed.cbam:SpatialGate",
        family="spatial",
        identity="exact",
        identity_gate=0.5,
        paper=Paper(
            title="CBAM: Convolutional Block Attention Module",
            authors="Sanghyun Woo, Jongchan Park, Joon-Young Lee, In So Kweon",
            venue="ECCV",
            year=2018,
            arxiv="1807.06521",
        ),
        license="MIT",
        reference="authors",
        verified="cases",
        key_map=((r"(^|\.)spatial\.(conv|bn)\.", r"\1conv.\2."),),
        notes="The spatial half of cbam. Its batch norm is in the authors' code, not in the paper.",
    ),
)


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS
