"""Recurrent attention: models that look at an image a glimpse at a time."""

from typing import Any

from zoo_plugins.recurrent import _dram, _dvan

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec, ModelSpec, Paper

PAPER = Paper(
    title="Recurrent Models of Visual Attention",
    authors="Volodymyr Mnih, Nicolas Heess, Alex Graves, Koray Kavukcuoglu",
    venue="NIPS",
    year=2014,
    arxiv="1406.6247",
)
RAM = "zoo_plugins.recurrent.ram:RecurrentAttention"
KEY_MAP = "zoo_plugins.recurrent.authors:from_authors"

ATTENTIONS = (
    AttentionSpec(
        name="glimpse_sensor",
        target="zoo_plugins.recurrent.glimpse:GlimpseSensor",
        family="hard",
        kind="hard",
        contract="context",
        role="none",
        paper=PAPER,
        license="MIT",
        reference="independent",
        verified="cases",
        key_map=(
            (r"(^|\.)fc1\.", r"\1what_hidden."),
            (r"(^|\.)fc2\.", r"\1where_hidden."),
            (r"(^|\.)fc3\.", r"\1what."),
            (r"(^|\.)fc4\.", r"\1where."),
        ),
        reference_call="zoo_plugins.recurrent.glimpse:retina_and_glimpse",
        example="zoo_plugins.recurrent.glimpse:example",
        notes="The authors released no code; the reference scales x by the height, here by the "
        "width. How wide patches are resized is not stated; they are average-pooled.",
    ),
    AttentionSpec(
        name="ram_core",
        aliases=("recurrent_attention",),
        target=RAM,
        family="hard",
        kind="hard",
        contract="rollout",
        role="none",
        paper=PAPER,
        license="MIT",
        reference="independent",
        verified="cases",
        key_map=KEY_MAP,
        reference_call="zoo_plugins.recurrent.authors:authors_rollout",
        example="zoo_plugins.recurrent.ram:example",
        dead_parameters=(r"(^|\.)baseline\.",),  # learns from the reward, not from the output
        notes="The reference's location network has a hidden layer that the paper's has not "
        "(locator_hidden=0), and clamps samples to the image, of which the paper says nothing.",
    ),
)


def _model(name: str, size: int, notes: str = "", **defaults: Any) -> ModelSpec:
    return ModelSpec(
        name=name,
        target=RAM,
        family="hard",
        kind="hard",
        defaults={"num_classes": 10, "in_chans": 1, **defaults},
        config="zoo_plugins.recurrent.authors:read_config",
        input={
            "input_size": (1, size, size), "num_classes": 10, "mean": (0.0,), "std": (1.0,),
            "crop_pct": 1.0, "interpolation": "bilinear", "classifier": "classifier",
            "first_conv": None, "pool_size": None,
        },
        objective="zoo_plugins.recurrent.reinforce:Reinforce",
        paper=PAPER,
        license="MIT",
        reference="independent",
        verified="cases",
        key_map=KEY_MAP,
        reference_call="zoo_plugins.recurrent.authors:authors_prediction",
        notes=notes,
    )  # fmt: skip


_CANVAS_60 = {
    "patch_size": 12, "num_patches": 3, "num_glimpses": 8, "std": 0.1, "first_spread": 0.3,
}  # fmt: skip
_CANVAS_100 = {**_CANVAS_60, "num_patches": 4}

MODELS = (
    _model(
        "ram_mnist",
        28,
        "Seven glimpses of 8x8 pixels; trained here on MNIST.",
        num_glimpses=7,
        std=0.1,
        first_spread=0.3,
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


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return (*ATTENTIONS, *_dram.ATTENTIONS, *_dvan.ATTENTIONS)


@hookimpl
def zoo_models() -> tuple[ModelSpec, ...]:
    return (*MODELS, *_dram.MODELS, *_dvan.MODELS)
