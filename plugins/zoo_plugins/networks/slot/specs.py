"""Specs of self-attention on tokens (B, N, C): what stands in a transformer's blocks."""

from zoo.registry.specs import ModelSpec, Provenance
from zoo_plugins import papers

MODELS = (
    ModelSpec(
        name="slot_cnn_64",
        target="zoo_plugins.networks.slot.network:SlotNet",
        family="self_attention",
        input={
            "input_size": (3, 64, 64),
            "num_classes": 10,
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "first_conv": "encoder.0",
            "classifier": "head",
            "pool_size": None,
        },
        provenance=Provenance(
            paper=papers.SLOT,
            license="Apache-2.0",
            reference="equations",
            verified="equations",
            notes=(
                "The paper's encoder and slots; that one label is read off their mean is our "
                "choice."
            ),
        ),
    ),
)
