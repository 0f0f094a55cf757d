"""Spatial transformers: attention by resampling the map."""

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec, Paper

ATTENTIONS = (
    AttentionSpec(
        name="spatial_transformer",
        aliases=("stn",),
        target="zoo_plugins.spatial_transformer.spatial_transformer:SpatialTransformer",
        family="spatial_transformer",
        placement="stage",
        needs_size=True,
        identity="exact",
        identity_gate=1.0,
        channel_arguments=("in_channels",),
        paper=Paper(
            title="Spatial Transformer Networks",
            authors="Max Jaderberg, Karen Simonyan, Andrew Zisserman, Koray Kavukcuoglu",
            venue="NeurIPS",
            year=2015,
            arxiv="1506.02025",
        ),
        license="BSD-3-Clause",
        reference="independent",
        verified="cases",
        reference_call="zoo_plugins.spatial_transformer.spatial_transformer:reference_call",
        notes="The localisation network is that of PyTorch's tutorial; the paper has several.",
    ),
)


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS
