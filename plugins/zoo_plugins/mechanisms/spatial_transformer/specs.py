"""Spatial transformers: attention by resampling the map.

What is stated of each mechanism, without torch.
"""

from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Provenance
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.spatial_transformer"

ATTENTIONS = (
    AttentionSpec(
        name="spatial_transformer",
        aliases=("stn",),
        target=f"{PACKAGE}.spatial_transformer:SpatialTransformer",
        family="spatial_transformer",
        insertion=Insertion(
            placement="stage", identity="exact", default_form="residual", needs_size=True
        ),
        options=OptionNames(
            channels=("in_channels",),
            aliases={"input_size": "feat_size"},
            ignored=("act_layer",),
        ),
        provenance=Provenance(
            paper=papers.SPATIAL_TRANSFORMER,
            license="BSD-3-Clause",
            reference="independent",
            verified="cases",
            reference_call=f"{PACKAGE}.spatial_transformer:reference_call",
            notes=(
                "The localisation network is that of PyTorch's tutorial; the paper has several."
            ),
        ),
    ),
)
