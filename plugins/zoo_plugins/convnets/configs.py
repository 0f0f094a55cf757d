"""Settings of authors' code, as keywords of `create_model`. No torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from zoo.errors import OptionError

BASIC_DEPTHS = (18, 34)  # blocks of two 3x3 convolutions; deeper ones are bottlenecks
STAGES = (64, 128, 256, 512)


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


senext = partial(senet, groups=32, base_width=4)


def legacy_senet(timm_model: str = "legacy_seresnet50", depth: int | None = None) -> dict[str, Any]:
    """timm's `legacy_seresnet*` and `legacy_seresnext*_32x4d` as the Caffe form."""
    found = re.fullmatch(r"legacy_seres(net|next)(\d+)(_32x4d)?", timm_model)
    if found is None:
        raise OptionError(f"timm_model={timm_model!r} is no legacy_seresnet")
    _check_depth(timm_model, depth)
    own = int(found[2])
    if found[1] == "next":
        return senet(own, groups=32, base_width=4, stride_in="conv2")
    return senet(own, stride_in="conv1")


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


cbam_resnet18 = partial(residual_net, depth=18, att_type="CBAM")
cbam_resnet50 = partial(residual_net, depth=50, att_type="CBAM")
bam_resnet50 = partial(residual_net, depth=50, att_type="BAM")


def eca_resnet(depth: int = 50, k_size: Sequence[int] | None = None) -> dict[str, Any]:
    """`eca_resnet*` of the authors: `k_size` gives the kernel of each of the four stages."""
    if k_size is None:
        return {"backbone": f"resnet{depth}"}
    if not isinstance(k_size, Sequence) or len(k_size) != len(STAGES):
        raise OptionError(f"k_size={k_size!r} does not give one kernel for each of four stages")
    expansion = 1 if depth in BASIC_DEPTHS else 4
    kernels = {str(width * expansion): kernel for width, kernel in zip(STAGES, k_size, strict=True)}
    return {"backbone": f"resnet{depth}", "attention_options": {"kernel_size": kernels}}


eca_resnet18 = partial(eca_resnet, depth=18)
eca_resnet50 = partial(eca_resnet, depth=50)


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
