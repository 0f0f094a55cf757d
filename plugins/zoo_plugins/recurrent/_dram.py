"""Specs of the Deep Recurrent Attention Model. No torch."""

from __future__ import annotations

from typing import Any

from zoo.specs import AttentionSpec, ModelSpec, Paper

PAPER = Paper(
    title="Multiple Object Recognition with Visual Attention",
    authors="Jimmy Lei Ba, Volodymyr Mnih, Koray Kavukcuoglu",
    venue="ICLR",
    year=2015,
    arxiv="1412.7755",
)
PACKAGE = "zoo_plugins.recurrent"
TARGET = f"{PACKAGE}.dram:DeepRecurrentAttention"
KEY_MAP = f"{PACKAGE}.dram_authors:from_authors"
PORT = (
    "The authors released no code. The reference is a port that does not train: it has no ReLU "
    "between convolutions, feeds the context network the whole image, and detaches the mean of "
    "the location policy, so that its emission network has no gradient (detach_mean=True); ours "
    "has one."
)

ATTENTIONS = (
    AttentionSpec(
        name="dram_core",
        aliases=("deep_recurrent_attention",),
        target=TARGET,
        family="hard",
        kind="hard",
        contract="rollout",
        role="none",
        variants=("paper", "port"),
        dead_parameters=(r"(^|\.)baseline\.",),  # learns by the objective's own term
        example=f"{PACKAGE}.dram_authors:example",
        paper=PAPER,
        license="MIT",
        reference="independent",
        verified="cases",
        key_map=KEY_MAP,
        reference_call=f"{PACKAGE}.dram_authors:authors_core",
        notes=PORT + " The port's names (height=, width=) ask for its wiring.",
    ),
)


def _model(name: str, size: int, classes: int, notes: str, **defaults: Any) -> ModelSpec:
    return ModelSpec(
        name=name,
        target=TARGET,
        family="hard",
        kind="hard",
        defaults={"num_classes": classes, "in_chans": 1, "image_size": size, **defaults},
        config=f"{PACKAGE}.dram_authors:read_config",
        input={
            "input_size": (1, size, size), "num_classes": classes, "mean": (0.0,), "std": (1.0,),
            "crop_pct": 1.0, "interpolation": "bilinear", "classifier": "readers.0.classifier",
            "first_conv": None, "pool_size": None,
        },
        objective=f"{PACKAGE}.dram_reinforce:SequenceReinforce",
        paper=PAPER,
        license="MIT",
        reference="independent",
        verified="cases",
        key_map=KEY_MAP,
        reference_call=f"{PACKAGE}.dram_authors:authors_prediction",
        notes=notes,
    )  # fmt: skip


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
        "Reads a house number of up to five digits and the end symbol; the sizes of the paper. "
        + PORT,
    ),
    _model(
        "dram_mnist_pairs",
        100,
        10,
        "Reads two digits from left to right, two glimpses each.",
        num_targets=2,
        glimpses_per_target=2,
        **SMALL,
    ),
    _model(
        "dram_mnist_addition",
        100,
        19,
        "Gives the sum of two digits after four glimpses.",
        num_targets=1,
        glimpses_per_target=4,
        **SMALL,
    ),
)
