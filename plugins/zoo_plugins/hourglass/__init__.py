"""Stacked hourglass networks: the trunk that attention for pose estimation is built on."""

from __future__ import annotations

from zoo.hookspecs import hookimpl
from zoo.specs import AttentionSpec, ModelSpec, Paper

PACKAGE = "zoo_plugins.hourglass"
HOURGLASS_PAPER = Paper(
    title="Stacked Hourglass Networks for Human Pose Estimation",
    authors="Alejandro Newell, Kaiyu Yang, Jia Deng",
    venue="ECCV",
    year=2016,
    arxiv="1603.06937",
)

ATTENTIONS = (
    AttentionSpec(
        name="hourglass",
        target=f"{PACKAGE}.hourglass:Hourglass",
        contract="map",
        role="none",
        dead_parameters=(r"(^|\.)conv[12]\.bias$",),  # taken out by the next norm
        paper=HOURGLASS_PAPER,
        license="BSD-3-Clause",
        reference="authors",
        verified="cases",
        key_map=f"{PACKAGE}.hourglass:from_authors",
        notes="A trunk without attention. The authors' residuals own projections they never use.",
    ),
)


def _stacked(count: int) -> ModelSpec:
    return ModelSpec(
        name=f"stacked_hourglass_{count}",
        target=f"{PACKAGE}.stacked:StackedHourglass",
        defaults={"num_stacks": count},
        config=f"{PACKAGE}.configs:pose_net",
        input={
            "input_size": (3, 256, 256), "num_classes": 16, "mean": (0.0, 0.0, 0.0),
            "std": (1.0, 1.0, 1.0), "crop_pct": 1.0, "interpolation": "bilinear",
            "pool_size": (64, 64), "first_conv": "pre.0.conv", "classifier": "outs.0",
        },
        paper=HOURGLASS_PAPER,
        license="BSD-3-Clause",
        reference="authors",
        verified="cases",
        key_map=f"{PACKAGE}.hourglass:from_authors",
        notes="No classifier: (B, stacks, joints, H/4, W/4) heat maps, of 16 joints by default.",
    )  # fmt: skip


MODELS = tuple(_stacked(count) for count in (1, 2, 4, 8))


@hookimpl
def zoo_attentions() -> tuple[AttentionSpec, ...]:
    return ATTENTIONS


@hookimpl
def zoo_models() -> tuple[ModelSpec, ...]:
    return MODELS
