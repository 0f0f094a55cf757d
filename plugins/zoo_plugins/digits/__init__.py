"""Digits on canvases: translated, cluttered, paired and distorted MNIST, and house numbers.

What is generated is drawn on the fly, never kept in files. `svhn_*` are photographs from the user's
own files; `synthetic_numbers*` are made up, with no photograph in them.
"""

from zoo.hookspecs import hookimpl
from zoo.specs import DatasetSpec

MNIST_LICENSE = "CC-BY-SA-3.0"
SVHN_LICENSE = "non-commercial"
ADDITION_CLASSES = 19  # sums of two digits, 0 to 18


def _mnist(name: str, num_classes: int = 10) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        target=f"zoo_plugins.digits.sets:{name}",
        num_classes=num_classes,
        license=MNIST_LICENSE,
    )


def _numbers(name: str, license: str = "") -> DatasetSpec:
    return DatasetSpec(
        name=name, target=f"zoo_plugins.digits.sets:{name}", num_classes=11, license=license
    )


DATASETS = (
    _mnist("mnist_translated60"),
    _mnist("mnist_cluttered60"),
    _mnist("mnist_cluttered100"),
    _mnist("mnist_clutter_seed100"),
    _mnist("mnist_distorted_r"),
    _mnist("mnist_distorted_rts"),
    _mnist("mnist_distorted_p"),
    _mnist("mnist_distorted_e"),
    _mnist("mnist_pairs"),
    _mnist("mnist_addition", ADDITION_CLASSES),
    DatasetSpec(
        name="svhn_cropped",
        target="zoo_plugins.digits.sets:svhn_cropped",
        num_classes=10,
        license=SVHN_LICENSE,
    ),
    _numbers("svhn_numbers32", SVHN_LICENSE),
    _numbers("svhn_numbers54", SVHN_LICENSE),
    _numbers("svhn_numbers64", SVHN_LICENSE),
    _numbers("synthetic_numbers32"),
    _numbers("synthetic_numbers54"),
)


@hookimpl
def zoo_datasets() -> tuple[DatasetSpec, ...]:
    return DATASETS
