"""Data sets. They are a plugin like any other, whose specs name what reads them. No torch here."""

from __future__ import annotations

from zoo.registry.hookspecs import hookimpl
from zoo.registry.specs import DatasetSpec

_TORCHVISION = {
    "cifar10": 10,
    "cifar100": 100,
    "dtd": 47,
    "fashion_mnist": 10,
    "fgvc_aircraft": 100,
    "flowers102": 102,
    "food101": 101,
    "gtsrb": 43,
    "imagenet": 1000,
    "imagenette": 10,
    "kmnist": 10,
    "oxford_iiit_pet": 37,
    "stl10": 10,
    "svhn": 10,
}

DATASETS = (
    DatasetSpec(
        name="mnist", target="zoo.data.mnist:MNIST", num_classes=10, license="CC-BY-SA-3.0"
    ),
    *(
        DatasetSpec(name=name, target=f"zoo.data.vision:{name}", num_classes=count)
        for name, count in _TORCHVISION.items()
    ),
)


@hookimpl
def zoo_datasets() -> tuple[DatasetSpec, ...]:
    """The bundled MNIST, and torchvision's classification data sets."""
    return DATASETS
