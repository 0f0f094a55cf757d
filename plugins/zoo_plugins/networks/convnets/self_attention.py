"""Specs of networks in which self-attention replaces 3x3 convolutions. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zoo.registry.specs import ModelSpec, Provenance
from zoo_plugins import papers
from zoo_plugins.networks.settings import RESNET

IMAGENET: dict[str, Any] = {
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "interpolation": "bicubic",
}


def _timm_nets() -> Iterator[ModelSpec]:
    of_256: dict[str, Any] = {
        **IMAGENET,
        "input_size": (3, 256, 256),
        "pool_size": (8, 8),
        "crop_pct": 0.95,
        "first_conv": "stem.conv1.conv",
        "classifier": "head.fc",
    }
    least: dict[str, Any] = {"min_input_size": (3, 256, 256)}
    for name, paper, model, more in (
        ("lambda_resnet26_timm", papers.LAMBDA_LAYER, "lambda_resnet26t", {"crop_pct": 0.94}),
        ("halo_resnet26_timm", papers.HALO, "halonet26t", least),
        ("bot_resnet26_timm", papers.BOTTLENECK, "botnet26t_256", {"fixed_input_size": True}),
        ("bat_resnext26_timm", papers.BAT, "bat_resnext26ts", {**least, "crop_pct": 0.9}),
    ):
        yield ModelSpec(
            name=name,
            target=f"zoo_plugins.networks.convnets.timm_models:{model}",
            family="self_attention",
            config="zoo_plugins.networks.convnets.configs:timm_form",
            input={**of_256, **more},
            provenance=Provenance(
                paper=paper,
                license="Apache-2.0",
                reference="independent",
                verified="cases",
                notes=f"timm's {model}; timm_model= names another of its networks.",
            ),
        )


def _axial_nets() -> Iterator[ModelSpec]:
    depths = {26: (1, 2, 4, 1), 50: (3, 4, 6, 3)}
    for depth, size, s in ((26, "s", 0.5), (50, "s", 0.5), (50, "m", 0.75), (50, "l", 1.0)):
        yield ModelSpec(
            name=f"axial_resnet{depth}_{size}",
            target="zoo_plugins.networks.convnets.axial_net:axial_resnet",
            family="self_attention",
            defaults={"layers": depths[depth], "s": s},
            config="zoo_plugins.networks.baselines.configs:read_size",
            input={
                **IMAGENET,
                **RESNET,
                "fixed_input_size": True,
                "crop_pct": 0.875,
                "interpolation": "bilinear",
            },
            provenance=Provenance(
                paper=papers.AXIAL,
                license="Apache-2.0",
                reference="authors",
                verified="cases",
                key_map=((r"^(.*\.)?flatten_index$", ""),),  # computed
                notes="For images of img_size=224, or another multiple of 32, and no other size.",
            ),
        )


def _sasa_nets() -> Iterator[ModelSpec]:
    for depth, layers in ((26, (1, 2, 4, 1)), (38, (2, 3, 5, 2)), (50, (3, 4, 6, 3))):
        yield ModelSpec(
            name=f"sasa_resnet{depth}",
            target="zoo_plugins.networks.convnets.sasa:sasa_resnet",
            family="self_attention",
            defaults={"layers": layers},
            config="zoo_plugins.networks.convnets.configs:sasa_resnet",
            input={**RESNET, "input_size": (3, 32, 32), "pool_size": (4, 4)},
            provenance=Provenance(
                paper=papers.STAND_ALONE,
                license="MIT",
                reference="independent",
                verified="cases",
                key_map="zoo_plugins.networks.convnets.sasa:from_authors",
                notes="A port for 32x32 images, whose softmax is over each channel on its own; "
                'variant="paper" gives equation 3.',
            ),
        )


SELF_ATTENTION = (*_timm_nets(), *_axial_nets(), *_sasa_nets())
