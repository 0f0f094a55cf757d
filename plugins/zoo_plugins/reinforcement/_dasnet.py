"""Specs of dasNet. No torch."""

from __future__ import annotations

from zoo.specs import AttentionSpec, ModelSpec, Paper

PAPER = Paper(
    title="Deep Networks with Internal Selective Attention through Feedback Connections",
    authors="Marijn F. Stollenga, Jonathan Masci, Faustino Gomez, Jürgen Schmidhuber",
    venue="NIPS",
    year=2014,
    arxiv="1407.3068",
)
PACKAGE = "zoo_plugins.reinforcement"

ATTENTIONS = (
    AttentionSpec(
        name="dasnet",
        target=f"{PACKAGE}.dasnet:DasNet",
        family="reinforcement",
        identity="exact",
        identity_gate=1.0,
        paper=PAPER,
        license="BSD-3-Clause",
        reference="authors",
        verified="cases",
        reference_call=f"{PACKAGE}.dasnet:reference_call",
        notes="The cases check one step of the search (SNES, in its author's code), not the "
        "feedback, which is from the paper's equations. As a layer it gates one map by itself.",
    ),
)

MODELS = (
    ModelSpec(
        name="dasnet_cifar10",
        target=f"{PACKAGE}.dasnet_network:DasNetwork",
        family="reinforcement",
        config="zoo_plugins.baselines.configs:read_size",
        input={
            "input_size": (3, 32, 32), "fixed_input_size": True, "num_classes": 10,
            "mean": (0.491, 0.482, 0.447), "std": (0.247, 0.243, 0.262), "crop_pct": 1.0,
            "interpolation": "bilinear", "first_conv": "base.features.0.1",
            "classifier": "base.classifier", "pool_size": (5, 5),
        },
        objective=f"{PACKAGE}.dasnet_search:PolicySearch",
        paper=PAPER,
        license="Apache-2.0",
        reference="equations",
        verified="equations",
        notes="A maxout network, or any model by base=, and a policy over its filters; no weights.",
    ),
)  # fmt: skip
