"""Spatial transformers: attention by resampling the map."""

from typing import Any

from zoo.registry.specs import ModelSpec, Provenance
from zoo_plugins import papers


def _digits(name: str, notes: str, **defaults: Any) -> ModelSpec:
    return ModelSpec(
        name=name,
        target="zoo_plugins.networks.stn.digits:DistortedDigitNet",
        family="spatial_transformer",
        defaults={"num_classes": 10, "in_chans": 1, **defaults},
        config="zoo_plugins.networks.baselines.configs:read_size",
        input={
            "input_size": (1, 28, 28),
            "fixed_input_size": True,
            "num_classes": 10,
            "mean": (0.0,),
            "std": (1.0,),
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "first_conv": "features.0",
            "classifier": "classifier",
            "pool_size": (2, 2),
        },
        provenance=Provenance(
            paper=papers.SPATIAL_TRANSFORMER,
            license="Apache-2.0",
            reference="equations",
            verified="equations",
            notes=notes,
        ),
    )


def _house_numbers(name: str, index: int, notes: str, **defaults: Any) -> ModelSpec:
    return ModelSpec(
        name=name,
        target="zoo_plugins.networks.stn.house_numbers:HouseNumberNet",
        family="spatial_transformer",
        defaults=defaults,
        config="zoo_plugins.networks.baselines.configs:digit_heads",
        input={
            "input_size": (3, 64, 64),
            "fixed_input_size": True,
            "num_classes": 55,
            "mean": (0.0, 0.0, 0.0),
            "std": (1.0, 1.0, 1.0),
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "first_conv": f"features.{index}.0",
            "classifier": "classifier",
            "pool_size": (4, 4),
        },
        objective="zoo_plugins.networks.baselines.sequence:SequenceCrossEntropy",
        provenance=Provenance(
            paper=papers.SPATIAL_TRANSFORMER,
            license="Apache-2.0",
            reference="equations",
            verified="equations",
            notes=notes,
        ),
    )


MODELS = (
    _digits("stn_mnist", "The paper's ST-CNN with one affine transformer; widths of a rebuild."),
    _digits("stn_mnist_tps", "The ST-CNN with a thin plate spline of 16 points.", transform="tps"),
    _house_numbers("stn_svhn", 1, "The paper's ST-CNN Single: reads up to five digits."),
    _house_numbers("stn_svhn_multi", 1, "The paper's ST-CNN Multi.", transformers=4),
)
