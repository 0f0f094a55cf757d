"""Spatial transformers: attention by resampling the map."""

from typing import Any

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec, ModelSpec, Paper

PACKAGE = "zoo_plugins.spatial_transformer"
PAPER = Paper(
    title="Spatial Transformer Networks",
    authors="Max Jaderberg, Karen Simonyan, Andrew Zisserman, Koray Kavukcuoglu",
    venue="NeurIPS",
    year=2015,
    arxiv="1506.02025",
)

ATTENTIONS = (
    AttentionSpec(
        name="spatial_transformer",
        aliases=("stn",),
        target=f"{PACKAGE}.spatial_transformer:SpatialTransformer",
        family="spatial_transformer",
        placement="stage",
        needs_size=True,
        identity="exact",
        identity_gate=1.0,
        channel_arguments=("in_channels",),
        paper=PAPER,
        license="BSD-3-Clause",
        reference="independent",
        verified="cases",
        reference_call=f"{PACKAGE}.spatial_transformer:reference_call",
        notes="The localisation network is that of PyTorch's tutorial; the paper has several.",
    ),
)


def _digits(name: str, notes: str, **defaults: Any) -> ModelSpec:
    return ModelSpec(
        name=name,
        target=f"{PACKAGE}.digits:DistortedDigitNet",
        family="spatial_transformer",
        defaults={"num_classes": 10, "in_chans": 1, **defaults},
        config="zoo_plugins.baselines.configs:read_size",
        input={
            "input_size": (1, 28, 28), "fixed_input_size": True, "num_classes": 10,
            "mean": (0.0,), "std": (1.0,), "crop_pct": 1.0, "interpolation": "bilinear",
            "first_conv": "features.0", "classifier": "classifier", "pool_size": (2, 2),
        },
        paper=PAPER,
        license="Apache-2.0",
        reference="equations",
        verified="equations",
        notes=notes,
    )  # fmt: skip


def _house_numbers(name: str, index: int, notes: str, **defaults: Any) -> ModelSpec:
    return ModelSpec(
        name=name,
        target=f"{PACKAGE}.house_numbers:HouseNumberNet",
        family="spatial_transformer",
        defaults=defaults,
        config="zoo_plugins.baselines.configs:digit_heads",
        input={
            "input_size": (3, 64, 64), "fixed_input_size": True, "num_classes": 55,
            "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "crop_pct": 1.0,
            "interpolation": "bilinear", "first_conv": f"features.{index}.0",
            "classifier": "classifier", "pool_size": (4, 4),
        },
        objective="zoo_plugins.baselines.sequence:SequenceCrossEntropy",
        paper=PAPER,
        license="Apache-2.0",
        reference="equations",
        verified="equations",
        notes=notes,
    )  # fmt: skip


MODELS = (
    _digits("stn_mnist", "The paper's ST-CNN with one affine transformer; widths of a rebuild."),
    _digits("stn_mnist_tps", "The ST-CNN with a thin plate spline of 16 points.", transform="tps"),
    _house_numbers("stn_svhn", 1, "The paper's ST-CNN Single: reads up to five digits."),
    _house_numbers("stn_svhn_multi", 1, "The paper's ST-CNN Multi.", transformers=4),
)


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS


@hookimpl
def zoo_models() -> tuple[ModelSpec, ...]:
    return MODELS
