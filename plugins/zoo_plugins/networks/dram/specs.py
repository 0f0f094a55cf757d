"""Specs of the Deep Recurrent Attention Model. No torch."""

from __future__ import annotations

from typing import Any

from zoo.registry.specs import ModelSpec, Provenance
from zoo_plugins import papers

TARGET = "zoo_plugins.networks.dram.dram:DeepRecurrentAttention"
AUTHORS = "zoo_plugins.networks.dram.authors"
PORT = (
    "The authors released no code. The reference is a port that does not train: it has no ReLU "
    "between convolutions, feeds the context network the whole image, and detaches the mean of "
    "the location policy, so that its emission network has no gradient (detach_mean=True); ours "
    "has one."
)


def _model(
    name: str, size: int, classes: int, notes: str, config: str = "read_canvas_config",
    **defaults: Any,
) -> ModelSpec:  # fmt: skip
    return ModelSpec(
        name=name,
        target=TARGET,
        family="hard",
        kind="hard",
        defaults={"num_classes": classes, "in_chans": 1, **defaults},
        config=f"{AUTHORS}:{config}",
        input={
            "input_size": (1, size, size),
            "num_classes": classes,
            "mean": (0.0,),
            "std": (1.0,),
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "classifier": "readers.0.classifier",
            "first_conv": None,
            "pool_size": None,
        },
        objective="zoo_plugins.networks.dram.reinforce:SequenceReinforce",
        provenance=Provenance(
            paper=papers.DRAM,
            license="MIT",
            reference="independent",
            verified="cases",
            key_map=f"{AUTHORS}:from_authors",
            reference_call=f"{AUTHORS}:authors_prediction",
            notes=notes,
        ),
    )


SMALL: dict[str, Any] = {
    "filters": (32, 32, 64),
    "glimpse_dim": 512,
    "cell_size": 256,
    "context_size": 20,
    "context_filters": (16, 32, 32),
    "end_symbol": False,
}
MODELS = (
    _model(
        "dram_svhn",
        54,
        11,
        "Reads a house number of up to five digits and the end symbol; sizes as far as the paper "
        "states them, which give 8.6 M parameters where it counts 14 M. " + PORT,
        config="read_house_number_config",
    ),
    _model(
        "dram_mnist_pairs",
        100,
        10,
        "Reads two digits from left to right, two glimpses each, where they lie apart on an empty "
        "canvas: an easier task than the paper's.",
        num_targets=2,
        glimpses_per_target=2,
        **SMALL,
    ),
    _model(
        "dram_mnist_addition",
        100,
        19,
        "Gives the sum of two digits after four glimpses, where they lie apart: an easier task "
        "than the paper's.",
        num_targets=1,
        glimpses_per_target=4,
        **SMALL,
    ),
    _model(
        "dram_mnist_pairs_cluttered",
        100,
        55,
        "Names the unordered pair of two digits after four glimpses, on clutter and at any places: "
        "the paper's task, as DeepMind's generator makes it.",
        num_targets=1,
        glimpses_per_target=4,
        num_scales=3,
        **SMALL,
    ),
    _model(
        "dram_mnist_addition_uniform",
        100,
        19,
        "Gives the sum of two digits after four glimpses, at any places of an empty canvas: the "
        "paper's task, as DeepMind's generator makes it.",
        num_targets=1,
        glimpses_per_target=4,
        num_scales=3,
        **SMALL,
    ),
)
