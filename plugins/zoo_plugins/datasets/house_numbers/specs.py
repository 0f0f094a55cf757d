"""What is stated of the house numbers. No torch."""

from zoo.registry.specs import DatasetSpec

SVHN_LICENSE = "non-commercial"


def _dataset(name: str, num_classes: int = 11, license: str = "") -> DatasetSpec:
    return DatasetSpec(
        name=name,
        target=f"zoo_plugins.datasets.house_numbers.sets:{name}",
        num_classes=num_classes,
        license=license,
    )


DATASETS = (
    _dataset("svhn_cropped", 10, SVHN_LICENSE),
    _dataset("svhn_numbers32", license=SVHN_LICENSE),
    _dataset("svhn_numbers54", license=SVHN_LICENSE),
    _dataset("svhn_numbers64", license=SVHN_LICENSE),
    _dataset("synthetic_numbers32"),
    _dataset("synthetic_numbers54"),
)
