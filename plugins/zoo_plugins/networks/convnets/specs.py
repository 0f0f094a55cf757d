"""Convolutional networks of particular authors, and timm's forms of the same papers.

A plain name (`cbam_resnet50`) is the composition on timm's backbone. The settings of the authors'
code (`depth`, `stride_in`, `k_size`, ...) are options of it, read by `configs`.
"""

from collections.abc import Iterator
from typing import Any

from zoo.registry.specs import BackboneSpec, ModelSpec, Provenance
from zoo_plugins import papers
from zoo_plugins.mechanisms.mixed.specs import ATTENTIONS as MIXED
from zoo_plugins.networks.convnets.self_attention import SELF_ATTENTION
from zoo_plugins.networks.settings import RESNET

CONFIGS = "zoo_plugins.networks.convnets.configs"
CADENE_KEYS = ((r"^layer0\.", ""), (r"(^|\.)se_module\.", r"\1se."), (r"^last_linear\.", "fc."))
MIXED_KEYS: dict[str, Any] = {spec.name: spec.provenance.key_map for spec in MIXED}
RESIDUAL_NET_KEYS = (
    (r"\.cbam\.", ".se."),
    (r"^bam(\d)\.", r"layer\1.attn."),
    *MIXED_KEYS["cbam"],
    *MIXED_KEYS["bam"],
)

BACKBONES = (
    BackboneSpec(name="caffe_resnet", target="zoo_plugins.networks.convnets.caffe:caffe_resnet"),
    BackboneSpec(name="cifar_resnet", target="zoo_plugins.networks.convnets.cifar:cifar_resnet"),
)


def _senets() -> Iterator[ModelSpec]:
    backbones = [f"resnet{depth}" for depth in (18, 34, 50, 101, 152)]
    for backbone in [*backbones, "resnext50_32x4d", "resnext101_32x4d"]:
        yield ModelSpec(
            name=f"se_{backbone}",
            attention="se",
            backbone=backbone,
            config=f"{CONFIGS}:se_{backbone}",
            provenance=Provenance(
                paper=papers.SE,
                license="BSD-3-Clause",
                reference="independent",
                verified="cases",
                key_map=CADENE_KEYS,
                notes=(
                    "stride_in= gives the authors' Caffe form: the stride in the first 1x1 "
                    "convolution (ResNeXt: in the 3x3), and a stem pooling without padding, "
                    "rounded up."
                ),
            ),
        )
        yield ModelSpec(
            name=f"se_{backbone}_timm",
            attention="se",
            backbone=backbone,
            attention_options={"rd_ratio": 1 / 16},
            config=f"{CONFIGS}:timm_form",
            provenance=Provenance(
                paper=papers.SE,
                license="Apache-2.0",
                reference="independent",
                verified="cases",
                notes=f"timm's se{backbone}: hidden widths are rounded to multiples of 8.",
            ),
        )


SENET_154 = ModelSpec(
    name="senet_154",
    aliases=("se_net154",),
    target="zoo_plugins.networks.convnets.caffe:senet",
    family="channel",
    input={**RESNET, "first_conv": "conv1.0"},
    provenance=Provenance(
        paper=papers.SE,
        license="BSD-3-Clause",
        reference="independent",
        key_map=(
            (r"^layer0\.conv1\.", "conv1.0."),
            (r"^layer0\.bn1\.", "conv1.1."),
            (r"^layer0\.conv2\.", "conv1.3."),
            (r"^layer0\.bn2\.", "conv1.4."),
            (r"^layer0\.conv3\.", "conv1.6."),
            (r"^layer0\.bn3\.", "bn1."),
            *CADENE_KEYS,
        ),
        notes="timm's senet154 pads the stem's pooling, the authors' and this do not.",
    ),
)


def _residual_nets() -> Iterator[ModelSpec]:
    for name, paper in (("cbam", papers.CBAM), ("bam", papers.BAM)):
        for depth in (18, 34, 50, 101):
            yield ModelSpec(
                name=f"{name}_resnet{depth}",
                attention=name,
                backbone=f"resnet{depth}",
                config=f"{CONFIGS}:{name}_resnet{depth}",
                provenance=Provenance(
                    paper=paper,
                    license="MIT",
                    reference="authors",
                    verified="cases",
                    key_map=RESIDUAL_NET_KEYS,
                ),
            )


def _eca_nets() -> Iterator[ModelSpec]:
    for depth in (18, 34, 50, 101, 152):
        yield ModelSpec(
            name=f"eca_resnet{depth}",
            attention="eca",
            backbone=f"resnet{depth}",
            config=f"{CONFIGS}:eca_resnet{depth}",
            provenance=Provenance(
                paper=papers.ECA,
                license="MIT",
                reference="authors",
                verified="cases",
                key_map=((r"\.eca\.", ".se."),),
                notes=(
                    "k_size gives the kernels of the four stages; by default the paper's formula."
                ),
            ),
        )


def _fca_nets() -> Iterator[ModelSpec]:
    for depth in (18, 34, 50, 101, 152):
        yield ModelSpec(
            name=f"fca_resnet{depth}",
            attention="fca",
            backbone=f"resnet{depth}",
            config=f"{CONFIGS}:fca_resnet{depth}",
            provenance=Provenance(
                paper=papers.FCA,
                license="MIT",
                reference="authors",
                verified="cases",
                key_map="zoo_plugins.networks.convnets.fcanet:from_authors",
                notes="The DCT images have the size of the maps at 224 pixels; others are pooled.",
            ),
        )


def _resnests() -> Iterator[ModelSpec]:
    for depth in (14, 26, 50, 101, 200, 269):
        yield ModelSpec(
            name=f"resnest{depth}",
            target="zoo_plugins.networks.convnets.resnest:resnest",
            defaults={"depth": depth},
            family="channel",
            input={**RESNET, "first_conv": "conv1.0"},
            provenance=Provenance(
                paper=papers.SPLIT_ATTENTION,
                license="Apache-2.0",
                reference="authors",
                verified="cases",
            ),
        )


TIMM_FORMS = (
    ModelSpec(
        name="se_resnet50_timm_legacy",
        target="zoo_plugins.networks.convnets.timm_models:legacy_seresnet50",
        family="channel",
        input={**RESNET, "first_conv": "layer0.conv1", "classifier": "last_linear"},
        config=f"{CONFIGS}:timm_form",
        provenance=Provenance(
            paper=papers.SE,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes='The same computation and names as se_resnet50 with stride_in="conv1".',
        ),
    ),
    ModelSpec(
        name="eca_resnet50_timm",
        attention="eca",
        backbone="resnet50d",
        config=f"{CONFIGS}:timm_form",
        provenance=Provenance(
            paper=papers.ECA,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes="timm's ecaresnet50d: a ResNet-50-D, kernels by the paper's formula.",
        ),
    ),
    ModelSpec(
        name="gc_resnet50",
        attention="global_context",
        backbone="resnet50",
        config=f"{CONFIGS}:timm_form",
        provenance=Provenance(
            paper=papers.GLOBAL_CONTEXT,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes=(
                'timm_model="gcresnet50t" gives timm\'s form: a tiered stem, attention after conv2.'
            ),
        ),
    ),
    ModelSpec(
        name="sk_resnet18",
        attention="selective_kernel",
        backbone="resnet18",
        config=f"{CONFIGS}:timm_form",
        provenance=Provenance(
            paper=papers.SELECTIVE_KERNEL,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes='timm_model="skresnet18" gives timm\'s form, whose paths share the input.',
        ),
    ),
    ModelSpec(
        name="resnest50_timm",
        target="zoo_plugins.networks.convnets.resnest:resnest",
        family="channel",
        input={**RESNET, "first_conv": "conv1.0"},
        config=f"{CONFIGS}:timm_form",
        provenance=Provenance(
            paper=papers.SPLIT_ATTENTION,
            license="Apache-2.0",
            reference="independent",
            verified="cases",
            notes="timm's resnest50d; the same computation and names as the authors'.",
        ),
    ),
)

SMALL = (
    ModelSpec(
        name="se_resnet20_cifar",
        attention="se",
        backbone="cifar_resnet",
        config=f"{CONFIGS}:senet_cifar",
        input={**RESNET, "input_size": (3, 32, 32), "pool_size": (8, 8)},
        provenance=Provenance(
            paper=papers.SE,
            license="MIT",
            reference="independent",
            verified="cases",
            key_map=((r"\.se\.fc\.0\.", ".se.fc1."), (r"\.se\.fc\.2\.", ".se.fc2.")),
            notes=(
                "A common port for 32x32 images; not by the paper's authors, and without SE biases."
            ),
        ),
    ),
)

MODELS = (
    *_senets(),
    SENET_154,
    *_residual_nets(),
    *_eca_nets(),
    *_fca_nets(),
    *_resnests(),
    *TIMM_FORMS,
    *SMALL,
    *SELF_ATTENTION,
)
