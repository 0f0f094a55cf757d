"""Stacked hourglass networks: the trunk that attention for pose estimation is built on."""

from __future__ import annotations

from zoo.registry.specs import ModelSpec, Provenance
from zoo_plugins import papers


def _stacked(count: int) -> ModelSpec:
    return ModelSpec(
        name=f"stacked_hourglass_{count}",
        target="zoo_plugins.networks.hourglass.stacked:StackedHourglass",
        defaults={"num_stacks": count},
        config="zoo_plugins.networks.hourglass.configs:pose_net",
        input={
            "input_size": (3, 256, 256),
            "num_classes": 16,
            "mean": (0.0, 0.0, 0.0),
            "std": (1.0, 1.0, 1.0),
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "pool_size": (64, 64),
            "first_conv": "pre.0.conv",
            "classifier": "outs.0",
        },
        provenance=Provenance(
            paper=papers.HOURGLASS,
            license="BSD-3-Clause",
            reference="authors",
            verified="cases",
            key_map="zoo_plugins.mechanisms.trunk.hourglass:from_authors",
            notes=(
                "No classifier: (B, stacks, joints, H/4, W/4) heat maps, of 16 joints by default."
            ),
        ),
    )


MODELS = tuple(_stacked(count) for count in (1, 2, 4, 8))
