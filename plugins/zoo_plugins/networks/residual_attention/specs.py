"""Residual attention networks: whole models whose trunk is scaled by soft masks. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zoo.registry.specs import ModelSpec, Provenance
from zoo_plugins import papers

IMAGENET: dict[str, Any] = {
    "input_size": (3, 224, 224), "pool_size": (7, 7), "crop_pct": 0.875,
    "interpolation": "bicubic", "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225),
    "first_conv": "stem.conv", "classifier": "fc",
}  # fmt: skip
CIFAR10: dict[str, Any] = {
    **IMAGENET, "input_size": (3, 32, 32), "pool_size": (8, 8), "num_classes": 10,
    "crop_pct": 1.0, "interpolation": "bilinear",
    "mean": (0.4914, 0.4822, 0.4465), "std": (0.2470, 0.2435, 0.2616),
}  # fmt: skip
ORIGIN = ("license", "reference", "verified", "notes")
AS_CODED: dict[str, Any] = {"reference": "authors", "verified": "cases"}
AS_PORTED: dict[str, Any] = {"reference": "independent", "verified": "cases"}
AS_WRITTEN: dict[str, Any] = {"reference": "equations", "verified": "equations"}

# Attention modules in each of three stages: the prototxts', then the paper's depth 36 m + 20.
MODULES = {56: (1, 1, 1), 92: (1, 2, 3), 128: (3, 3, 3), 164: (4, 4, 4)}
CIFAR: dict[str, Any] = {
    "widths": (64, 128, 256, 256), "strides": (1, 2, 2, 1), "depth_hourglass": (2, 2, 1),
    "stem_width": 16, "stem_kernel": 3, "stem_stride": 1, "stem_pool": 0, "num_classes": 10,
}  # fmt: skip


def _model(name: str, defaults: dict[str, Any], **fields: Any) -> ModelSpec:
    stated: dict[str, Any] = {
        "target": "zoo_plugins.networks.residual_attention.network:ResidualAttentionNetwork",
        "family": "mixed",
        "config": "zoo_plugins.networks.residual_attention.configs:read_config",
        "input": IMAGENET,
    }
    provenance = Provenance(
        paper=papers.RESIDUAL_ATTENTION,
        key_map="zoo_plugins.networks.residual_attention.authors:from_authors",
        **{key: fields.pop(key) for key in ORIGIN if key in fields},
    )
    return ModelSpec(name=name, defaults=defaults, provenance=provenance, **{**stated, **fields})


def _imagenet() -> Iterator[ModelSpec]:
    sizes = {
        56: "31.8 M parameters and 6.27 G multiply-adds; the paper: 31.9 M, 6.3 G.",
        92: "52.5 M parameters and 10.53 G multiply-adds; the paper: 51.3 M, 10.4 G.",
    }
    for depth, modules in MODULES.items():
        coded = depth in sizes
        notes = sizes.get(depth, "The paper has this depth for CIFAR only; modules spread evenly.")
        yield _model(
            f"residual_attention_{depth}",
            {"modules": modules},
            notes=f"{notes} No weights were ever released." if coded else notes,
            **(AS_CODED if coded else AS_WRITTEN),
        )
    for depth in (56, 92):
        yield _model(
            f"residual_attention_next_{depth}",
            {"modules": MODULES[depth], "unit": "resnext"},
            aliases=(f"residual_attentionnext_{depth}",),
            notes="ResNeXt units 32x4d, ReLU after each sum.",
            **AS_CODED,
        )
    yield _model(
        "residual_attention_inception_56",
        {"modules": MODULES[56], "unit": "inception"},
        aliases=("residual_attentioninception_56",),
        notes="No code was released: the unit is our reading, three paths of C/8 channels; 34.0 M.",
        **AS_WRITTEN,
    )


def _cifar() -> Iterator[ModelSpec]:
    for depth in (56, 92, 128, 164, 236, 452):
        options: dict[str, Any] = {**CIFAR, "modules": ((depth - 20) // 36,) * 3}
        if depth == 452:
            options |= {"modules": (6, 6, 6), "p": 2, "t": 4, "r": 3, "widths": (64, 128, 224, 256)}
        yield _model(
            f"residual_attention_{depth}_cifar",
            options,
            aliases=(f"residual_attention_{depth}",) if depth > 164 else (),
            config="zoo_plugins.networks.residual_attention.configs:read_cifar_config",
            input=CIFAR10,
            notes=(
                "The paper states the parameters of its CIFAR networks (92: 1.9 M, 236: 5.1 M, "
                "452: 8.6 M), not their widths: these give 1.93 M, 5.12 M and 8.58 M. "
                'variant="tengshaofeng" is the port\'s network, 12.2 M.'
            ),
            **AS_PORTED,
        )


def _small() -> Iterator[ModelSpec]:
    yield _model(
        "residual_attention_56_cifar_small",
        {
            **CIFAR, "modules": (1, 1, 1), "widths": (48, 96, 192, 192), "strides": (2, 2, 2, 1),
            "stem_width": 24,
        },
        config="zoo_plugins.networks.residual_attention.configs:read_cifar_config",
        input={**CIFAR10, "pool_size": (4, 4)},
        notes="Narrow, with maps of 16, 8, 4 and 4 pixels: what one thread of a CPU trains.",
        **AS_WRITTEN,
    )  # fmt: skip


def _port() -> Iterator[ModelSpec]:
    for depth in (56, 92):
        yield _model(
            f"residual_attention_{depth}_tengshaofeng",
            {"modules": MODULES[depth], "form": "tengshaofeng"},
            aliases=(f"resattnet{depth}",),
            notes=(
                "A port that adds each map on the way down a second time and the trunk to the mask;"
                " without the projections that it owns and never uses. pytorchcv's resattnet is the"
                " same computation: zoo convert reads its names too."
            ),
            **AS_PORTED,
        )


MODELS = (*_imagenet(), *_cifar(), *_small(), *_port())
