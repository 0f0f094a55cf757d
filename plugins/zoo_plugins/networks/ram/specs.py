"""Recurrent attention: models that look at an image a glimpse at a time."""

from typing import Any

from zoo.registry.specs import ModelSpec, Provenance
from zoo_plugins import papers

RAM = "zoo_plugins.networks.ram.ram:RecurrentAttention"
KEY_MAP = "zoo_plugins.networks.ram.authors:from_authors"


def _model(name: str, size: int, notes: str = "", **defaults: Any) -> ModelSpec:
    return ModelSpec(
        name=name,
        target=RAM,
        family="hard",
        kind="hard",
        defaults={"num_classes": 10, "in_chans": 1, **defaults},
        config="zoo_plugins.networks.ram.authors:read_config",
        input={
            "input_size": (1, size, size),
            "num_classes": 10,
            "mean": (0.0,),
            "std": (1.0,),
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "classifier": "classifier",
            "first_conv": None,
            "pool_size": None,
        },
        objective="zoo_plugins.networks.ram.reinforce:Reinforce",
        provenance=Provenance(
            paper=papers.RAM,
            license="MIT",
            reference="independent",
            verified="cases",
            key_map=KEY_MAP,
            reference_call="zoo_plugins.networks.ram.authors:authors_prediction",
            notes=notes,
        ),
    )


_CANVAS_60 = {
    "patch_size": 12,
    "num_patches": 3,
    "num_glimpses": 8,
    "std": 0.1,
}
_CANVAS_100 = {**_CANVAS_60, "num_patches": 4}

MODELS = (
    _model(
        "ram_mnist",
        28,
        "Seven glimpses of 8x8 pixels; trained here on MNIST.",
        num_glimpses=7,
        std=0.1,
    ),
    _model(
        "ram_mnist_translated",
        60,
        "Eight glimpses of 12x12 pixels at three scales, for `mnist_translated60`.",
        **_CANVAS_60,
    ),
    _model(
        "ram_mnist_cluttered60",
        60,
        "Eight glimpses of 12x12 pixels at three scales, for `mnist_cluttered60`.",
        **_CANVAS_60,
    ),
    _model(
        "ram_mnist_cluttered100",
        100,
        "Eight glimpses of 12x12 pixels at four scales, for `mnist_cluttered100` and "
        "`mnist_clutter_seed100`.",
        **_CANVAS_100,
    ),
    _model("ram_28", 28, "The reference port's model for 28x28 MNIST."),
    _model("ram_60", 60, "For 60x60 translated MNIST.", patch_size=12, num_patches=3),
    _model(
        "ram_100",
        100,
        "For 100x100 cluttered translated MNIST.",
        patch_size=12,
        num_patches=4,
        num_glimpses=8,
    ),
)
