"""What is stated of the digits on canvases. No torch."""

from zoo.registry.specs import DatasetSpec

LICENSE = "CC-BY-SA-3.0"
ADDITION_CLASSES = 19  # sums of two digits, 0 to 18
PAIR_CLASSES = 55  # unordered pairs of two digits


def _mnist(name: str, num_classes: int = 10, *aliases: str) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        aliases=aliases,
        target=f"zoo_plugins.datasets.canvases.sets:{name}",
        num_classes=num_classes,
        license=LICENSE,
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
    _mnist("mnist_pairs", 10, "mnist_pairs_apart"),
    _mnist("mnist_addition", ADDITION_CLASSES, "mnist_addition_apart"),
    _mnist("mnist_pairs_cluttered", PAIR_CLASSES),
    _mnist("mnist_addition_uniform", ADDITION_CLASSES),
)
