"""Settings of authors' code, as keywords of `create_model`. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from zoo.errors import OptionError

DEPTHS = (18, 34, 50, 101, 152)
BASIC_DEPTHS = (18, 34)  # blocks of two 3x3 convolutions; deeper ones are bottlenecks
STAGES = (64, 128, 256, 512)
FCA_KEYS = (
    (r"(^|\.)att\.", r"\1se."),
    (r"\.se\.fc\.0\.", ".se.fc1."),
    (r"\.se\.fc\.2\.", ".se.fc2."),
)
SASA_KEYS = (
    (r"^init\.0\.", "conv1."),
    (r"^init\.1\.", "bn1."),
    (r"\.conv(\d)\.0\.", r".conv\1."),
    (r"\.conv(\d)\.1\.", r".bn\1."),
    (r"\.shortcut\.", ".downsample."),
    (r"_conv\.", "."),
    (r"^dense\.", "fc."),
)


def senet(
    depth: int = 50,
    reduction: int | None = None,
    groups: int = 1,
    base_width: int = 64,
    stride_in: str | None = None,
    fc_bias: bool = True,
) -> dict[str, Any]:
    """SENet of Cadene's port: with `stride_in`, the Caffe form; without, timm's backbone.

    Args:
        depth: 18 to 152. reduction: of the SE modules. groups, base_width: of a ResNeXt.
        stride_in: the convolution of a bottleneck that has the stride, `conv1` or `conv2`.
        fc_bias: must be True.
    """
    if fc_bias is not True:
        raise OptionError(f"fc_bias={fc_bias!r}: the classifier of SENet has a bias")
    attention = {} if reduction is None else {"reduction": reduction}
    if stride_in is None:
        return {"backbone": _timm_resnet(depth, groups, base_width), "attention_options": attention}
    return {
        "backbone": "caffe_resnet",
        "attention_options": attention,
        "depth": depth,
        "groups": groups,
        "base_width": base_width,
        "stride_in": stride_in,
    }


se_resnet18, se_resnet34, se_resnet50, se_resnet101, se_resnet152 = (
    partial(senet, depth=depth) for depth in DEPTHS
)
se_resnext50_32x4d, se_resnext101_32x4d = (
    partial(senet, depth=depth, groups=32, base_width=4) for depth in (50, 101)
)


def senet_cifar(
    depth: int = 20, reduction: int | None = None, se_bias: bool = True
) -> dict[str, Any]:
    """SE-ResNet for 32x32 images: depth 6n + 2."""
    attention: dict[str, Any] = {"bias": se_bias}
    if reduction is not None:
        attention["reduction"] = reduction
    return {"depth": depth, "attention_options": attention}


def residual_net(
    network_type: str = "ImageNet",
    depth: int = 50,
    att_type: str | None = None,
    reduction: int | None = None,
    dilation: int | None = None,
    num_dilated: int | None = None,
    num_channel_layers: int | None = None,
) -> dict[str, Any]:
    """`ResidualNet` of CBAM's and BAM's authors.

    Args:
        network_type: `ImageNet`, or `CIFAR10` and `CIFAR100`: a 3x3 stem without pooling.
        depth: 18, 34, 50 or 101.
        att_type: `CBAM`, `BAM` or None.
        reduction, dilation, num_dilated, num_channel_layers: of the attention.
    """
    options = {
        "reduction": reduction,
        "dilation": dilation,
        "num_dilated_convs": num_dilated,
        "num_hidden_layers": num_channel_layers,
    }
    attention = {"CBAM": "cbam", "BAM": "bam", None: ""}
    if att_type not in attention:
        raise OptionError(f"att_type={att_type!r} is none of 'CBAM', 'BAM', None")
    return {
        **_residual_backbone(network_type, depth),
        "attention": attention[att_type],
        "attention_options": {k: v for k, v in options.items() if v is not None},
    }


def _residual_backbone(network_type: str, depth: int) -> dict[str, Any]:
    if network_type == "ImageNet":
        return {"backbone": f"resnet{depth}"}
    if network_type in ("CIFAR10", "CIFAR100"):
        return {"backbone": "cifar_resnet", "depth": depth, "widths": STAGES}
    raise OptionError(f"network_type={network_type!r} is none of 'ImageNet', 'CIFAR10', 'CIFAR100'")


cbam_resnet18, cbam_resnet34, cbam_resnet50, cbam_resnet101 = (
    partial(residual_net, depth=depth, att_type="CBAM") for depth in DEPTHS[:4]
)
bam_resnet18, bam_resnet34, bam_resnet50, bam_resnet101 = (
    partial(residual_net, depth=depth, att_type="BAM") for depth in DEPTHS[:4]
)


def eca_resnet(depth: int = 50, k_size: Sequence[int] | None = None) -> dict[str, Any]:
    """`eca_resnet*` of the authors: `k_size` gives the kernel of each of the four stages."""
    if k_size is None:
        return {"backbone": f"resnet{depth}"}
    if not isinstance(k_size, Sequence) or len(k_size) != len(STAGES):
        raise OptionError(f"k_size={k_size!r} does not give one kernel for each of four stages")
    expansion = 1 if depth in BASIC_DEPTHS else 4
    kernels = {str(width * expansion): kernel for width, kernel in zip(STAGES, k_size, strict=True)}
    return {"backbone": f"resnet{depth}", "attention_options": {"kernel_size": kernels}}


eca_resnet18, eca_resnet34, eca_resnet50, eca_resnet101, eca_resnet152 = (
    partial(eca_resnet, depth=depth) for depth in DEPTHS
)


def fcanet(
    depth: int = 50,
    reduction: int | None = None,
    frequencies: str | None = None,
    dct_size: Mapping[Any, int] | None = None,
) -> dict[str, Any]:
    """`fcanet*` of the authors.

    Args:
        depth: 18 to 152. reduction: of the attention.
        frequencies: `top16`, `low8`, ...; see `fca`.
        dct_size: side of the DCT images of each stage, by its width (64, 128, 256, 512).
    """
    expansion = 1 if depth in BASIC_DEPTHS else 4
    attention: dict[str, Any] = {"reduction": reduction, "freq_sel_method": frequencies}
    if dct_size is not None:
        attention["dct_size"] = _by_channels(dct_size, expansion)
    return {
        "backbone": f"resnet{depth}",
        "attention_options": {k: v for k, v in attention.items() if v is not None},
    }


def _by_channels(by_width: Any, expansion: int) -> dict[str, int]:
    """A setting for each stage by its width, as one by the channels of its blocks."""
    if not isinstance(by_width, Mapping) or {str(k) for k in by_width} != set(map(str, STAGES)):
        widths = ", ".join(map(str, STAGES))
        raise OptionError(f"dct_size={by_width!r} is not a table of the widths {widths}")
    return {str(int(width) * expansion): value for width, value in by_width.items()}


fca_resnet18, fca_resnet34, fca_resnet50, fca_resnet101, fca_resnet152 = (
    partial(fcanet, depth=depth) for depth in DEPTHS
)


def sasa_resnet(variant: str | None = None) -> dict[str, Any]:
    """The variant of `stand_alone` (timm's builder has a `variant` of its own)."""
    return {} if variant is None else {"form": variant}


def timm_form(
    timm_model: str | None = None,
    depth: int | None = None,
    rd_ratio: float | None = None,
    radix: int | None = None,
) -> dict[str, Any]:
    """timm's own form of a paper's model: `timm_model` names it, the rest must describe it."""
    if timm_model is None:
        raise OptionError(
            "depth, rd_ratio and radix describe a model of timm, which is not named",
            remedy='timm_model="seresnet50"',
        )
    _check_depth(timm_model, depth)
    for name, value, own in (("rd_ratio", rd_ratio, 1 / 16), ("radix", radix, 2)):
        if value not in (None, own):
            raise OptionError(
                f"{name}={value!r} contradicts timm_model={timm_model!r}: it is {own}"
            )
    return {"backbone": timm_model, "attention": ""}


def _timm_resnet(depth: int, groups: int, base_width: int) -> str:
    return f"resnet{depth}" if groups == 1 else f"resnext{depth}_{groups}x{base_width}d"


def _check_depth(timm_model: str, depth: int | None) -> None:
    found = re.search(r"res\w*?(\d+)", timm_model)
    if depth is not None and found is not None and int(found[1]) != depth:
        raise OptionError(f"depth={depth!r} contradicts timm_model={timm_model!r}")
