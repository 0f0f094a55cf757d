"""Convolutional networks of particular authors, and timm's forms of the same papers.

A plain name (`cbam_resnet50`) is the composition on timm's backbone. The settings of the authors'
code (`depth`, `stride_in`, `k_size`, ...) are options of it, read by `configs`.
"""

from zoo_plugins.channel import ECA_PAPER, GC_PAPER, SE_PAPER, SK_PAPER, SPLIT_ATTENTION_PAPER
from zoo_plugins.mixed import BAM_KEYS, BAM_PAPER, CBAM_KEYS, CBAM_PAPER

from zoo.hookspecs import hookimpl
from zoo.specs import BackboneSpec, ModelSpec

CADENE_KEYS = (
    (r"^layer0\.", ""),
    (r"(^|\.)se_module\.", r"\1se."),
    (r"^last_linear\.", "fc."),
)

BACKBONES = (
    BackboneSpec(name="caffe_resnet", target="zoo_plugins.convnets.caffe:caffe_resnet"),
    BackboneSpec(name="cifar_resnet", target="zoo_plugins.convnets.cifar:cifar_resnet"),
)

MODELS = (
    ModelSpec(
        name="se_resnet50",
        attention="se",
        backbone="resnet50",
        config="zoo_plugins.convnets.configs:senet",
        paper=SE_PAPER,
        license="BSD-3-Clause",
        reference="independent",
        verified="cases",
        key_map=CADENE_KEYS,
        notes=(
            'stride_in="conv1" gives the authors\' Caffe form: the stride in the first 1x1 '
            "convolution, and a stem pooling without padding, rounded up."
        ),
    ),
    ModelSpec(
        name="se_resnext50_32x4d",
        attention="se",
        backbone="resnext50_32x4d",
        config="zoo_plugins.convnets.configs:senext",
        paper=SE_PAPER,
        license="BSD-3-Clause",
        reference="independent",
        verified="cases",
        key_map=CADENE_KEYS,
        notes='stride_in="conv2" gives the authors\' Caffe form, with its stem pooling.',
    ),
    ModelSpec(
        name="se_resnet50_timm",
        attention="se",
        backbone="resnet50",
        attention_options={"rd_ratio": 1 / 16},
        config="zoo_plugins.convnets.configs:timm_form",
        paper=SE_PAPER,
        license="Apache-2.0",
        reference="independent",
        verified="cases",
        notes="timm's seresnet50; equal to se_resnet50, whose widths are multiples of 128.",
    ),
    ModelSpec(
        name="se_resnext50_32x4d_timm",
        attention="se",
        backbone="resnext50_32x4d",
        attention_options={"rd_ratio": 1 / 16},
        config="zoo_plugins.convnets.configs:timm_form",
        paper=SE_PAPER,
        license="Apache-2.0",
        reference="independent",
        verified="cases",
        notes="timm's seresnext50_32x4d.",
    ),
    ModelSpec(
        name="se_resnet50_timm_legacy",
        attention="se",
        backbone="caffe_resnet",
        config="zoo_plugins.convnets.configs:legacy_senet",
        paper=SE_PAPER,
        license="Apache-2.0",
        reference="independent",
        verified="cases",
        key_map=CADENE_KEYS,
        notes="timm's legacy_seresnet50: the authors' Caffe form.",
    ),
    ModelSpec(
        name="se_resnet20_cifar",
        attention="se",
        backbone="cifar_resnet",
        config="zoo_plugins.convnets.configs:senet_cifar",
        input={"input_size": (3, 32, 32), "pool_size": None},
        paper=SE_PAPER,
        license="MIT",
        reference="independent",
        verified="cases",
        key_map=((r"\.se\.fc\.0\.", ".se.fc1."), (r"\.se\.fc\.2\.", ".se.fc2.")),
        notes="A common port for 32x32 images; not by the paper's authors, and without SE biases.",
    ),
    *(
        ModelSpec(
            name=f"cbam_resnet{depth}",
            attention="cbam",
            backbone=f"resnet{depth}",
            config=f"zoo_plugins.convnets.configs:cbam_resnet{depth}",
            paper=CBAM_PAPER,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=((r"\.cbam\.", ".se."), *CBAM_KEYS),
        )
        for depth in (18, 50)
    ),
    ModelSpec(
        name="bam_resnet50",
        attention="bam",
        backbone="resnet50",
        config="zoo_plugins.convnets.configs:bam_resnet50",
        paper=BAM_PAPER,
        license="MIT",
        reference="authors",
        verified="cases",
        key_map=((r"^bam(\d)\.", r"layer\1.attn."), *BAM_KEYS),
        notes="After each of the first three stages; the branches are multiplied, as in the code.",
    ),
    *(
        ModelSpec(
            name=f"eca_resnet{depth}",
            attention="eca",
            backbone=f"resnet{depth}",
            config=f"zoo_plugins.convnets.configs:eca_resnet{depth}",
            paper=ECA_PAPER,
            license="MIT",
            reference="authors",
            verified="cases",
            key_map=((r"\.eca\.", ".se."),),
            notes="k_size gives the kernels of the four stages; by default the paper's formula.",
        )
        for depth in (18, 50)
    ),
    ModelSpec(
        name="eca_resnet50_timm",
        attention="eca",
        backbone="resnet50d",
        config="zoo_plugins.convnets.configs:timm_form",
        paper=ECA_PAPER,
        license="Apache-2.0",
        reference="independent",
        verified="cases",
        notes="timm's ecaresnet50d: a ResNet-50-D, kernels by the paper's formula.",
    ),
    ModelSpec(
        name="gc_resnet50",
        attention="global_context",
        backbone="resnet50",
        config="zoo_plugins.convnets.configs:timm_form",
        paper=GC_PAPER,
        license="Apache-2.0",
        reference="independent",
        verified="cases",
        notes='timm_model="gcresnet50t" gives timm\'s form: a tiered stem, attention after conv2.',
    ),
    ModelSpec(
        name="sk_resnet18",
        attention="selective_kernel",
        backbone="resnet18",
        config="zoo_plugins.convnets.configs:timm_form",
        paper=SK_PAPER,
        license="Apache-2.0",
        reference="independent",
        verified="cases",
        notes='timm_model="skresnet18" gives timm\'s form, whose paths share the input.',
    ),
    ModelSpec(
        name="resnest50",
        target="zoo_plugins.convnets.resnest:resnest",
        family="channel",
        paper=SPLIT_ATTENTION_PAPER,
        license="Apache-2.0",
        reference="authors",
        verified="cases",
    ),
    ModelSpec(
        name="resnest50_timm",
        target="zoo_plugins.convnets.resnest:resnest",
        family="channel",
        config="zoo_plugins.convnets.configs:timm_form",
        paper=SPLIT_ATTENTION_PAPER,
        license="Apache-2.0",
        reference="independent",
        verified="cases",
        notes="timm's resnest50d; the same computation and names as the authors'.",
    ),
)


@hookimpl
def zoo_backbones() -> tuple[BackboneSpec, ...]:
    return BACKBONES


@hookimpl
def zoo_models() -> tuple[ModelSpec, ...]:
    return MODELS
