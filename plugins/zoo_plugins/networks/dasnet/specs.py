"""Specs of dasNet. No torch."""

from __future__ import annotations

from zoo.registry.specs import ModelSpec, Provenance
from zoo_plugins import papers

MODELS = (
    ModelSpec(
        name="dasnet_cifar10",
        target="zoo_plugins.networks.dasnet.network:DasNetwork",
        family="reinforcement",
        config="zoo_plugins.networks.baselines.configs:read_size",
        input={
            "input_size": (3, 32, 32),
            "fixed_input_size": True,
            "num_classes": 10,
            "mean": (0.491, 0.482, 0.447),
            "std": (0.247, 0.243, 0.262),
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "first_conv": "base.features.0.1",
            "classifier": "base.classifier",
            "pool_size": (5, 5),
        },
        objective="zoo_plugins.networks.dasnet.search:PolicySearch",
        provenance=Provenance(
            paper=papers.DASNET,
            license="Apache-2.0",
            reference="equations",
            verified="equations",
            notes=(
                "A maxout network, or any model by base=, and a policy over its filters; no "
                "weights."
            ),
        ),
    ),
)
