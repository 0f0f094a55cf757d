"""Spatial attention: where to attend."""

from zoo_plugins.mixed import CBAM_PAPER

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec

ATTENTIONS = (
    AttentionSpec(
        name="cbam_spatial",
        target="zoo_plugins.mixed.cbam:SpatialGate",
        family="spatial",
        identity="exact",
        identity_gate=0.5,
        paper=CBAM_PAPER,
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
