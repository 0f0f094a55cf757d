"""Specs of the Perceiver."""

from zoo.registry.specs import ModelSpec, Provenance
from zoo_plugins import papers

MODELS = (
    ModelSpec(
        name="perceiver_64",
        target="zoo_plugins.networks.perceiver.network:PerceiverNet",
        family="multimodal",
        input={
            "input_size": (3, 64, 64),
            "num_classes": 10,
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "first_conv": None,
            "classifier": "head",
            "pool_size": None,
        },
        provenance=Provenance(
            paper=papers.PERCEIVER,
            license="Apache-2.0",
            reference="transcribed",
            verified="equations",
            notes=(
                "Pixels with Fourier features, 64 latents of 128; the blocks are verified by cases."
            ),
        ),
    ),
)
