"""Fold batch norm into the convolution before it, on a copy that shares the other tensors.

Which norm follows which convolution is seen in a forward pass, not guessed from names. What the
pass cannot show (a convolution's output used twice) shows in the logits: callers compare them.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from timm.layers import BatchNormAct2d
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

# Exact types: subclasses may compute their weight (weight standardisation) or their statistics.
_CONVOLUTIONS = (nn.Conv2d, Conv2dSame)
_NORMS = (nn.BatchNorm2d, BatchNormAct2d)


def share_tensors(model: nn.Module) -> nn.Module:
    """A copy of the module tree in eval mode, with the very tensors of the original."""
    tensors = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors}).eval()


@contextmanager
def watch(model: nn.Module) -> Iterator[list[tuple[str, str]]]:
    """Yield a list that fills, at the end of the block, with (convolution, norm) pairs by name.

    Both ran once, and the norm's input was the convolution's output, unchanged.
    """
    runs: Counter[str] = Counter()
    made: dict[int, tuple[str, Tensor, int]] = {}
    seen: list[tuple[str, str]] = []
    pairs: list[tuple[str, str]] = []
    handles: list[Any] = []

    def convolved(name: str, output: Tensor) -> None:
        runs[name] += 1
        made[id(output)] = name, output, output._version

    def normed(name: str, value: Tensor) -> None:
        runs[name] += 1
        conv, output, version = made.get(id(value), ("", value, -1))
        if output is value and version == value._version:
            seen.append((conv, name))

    for name, module in model.named_modules():
        if type(module) in _CONVOLUTIONS and not module._forward_hooks:
            handles.append(module.register_forward_hook(lambda m, i, o, n=name: convolved(n, o)))
        elif type(module) in _NORMS:
            handles.append(module.register_forward_pre_hook(lambda m, i, n=name: normed(n, i[0])))
    try:
        yield pairs
    finally:
        for handle in handles:
            handle.remove()
        uses = Counter(conv for conv, _ in seen)
        pairs += [(c, n) for c, n in seen if uses[c] == 1 and runs[c] == runs[n] == 1]


def rewrite(model: nn.Module, pairs: list[tuple[str, str]]) -> nn.Module:
    """A copy of `model` in eval mode: the norms of `pairs` folded away, convolutions channels-last.

    Only the weights of convolutions are new tensors.
    """
    copied = share_tensors(model)
    _fold(copied, pairs)
    for module in copied.modules():
        if isinstance(module, nn.Conv2d) and type(module) in _CONVOLUTIONS:
            weight = module.weight.detach().contiguous(memory_format=torch.channels_last)
            module.weight = nn.Parameter(weight, requires_grad=False)
    return copied


def _fold(model: nn.Module, pairs: list[tuple[str, str]]) -> None:
    for conv_name, norm_name in pairs:
        conv: Any = model.get_submodule(conv_name)
        norm: Any = model.get_submodule(norm_name)
        if norm.running_mean is None or norm.training:
            continue
        # In float64: the product of weight and scale is rounded once.
        stats = [None if t is None else t.detach().double() for t in (
            conv.weight, conv.bias, norm.running_mean, norm.running_var)]  # fmt: skip
        affine = [None if t is None else t.detach().double() for t in (norm.weight, norm.bias)]
        weight, bias = fuse_conv_bn_weights(*stats, norm.eps, *affine)  # type: ignore[arg-type]
        conv.weight = nn.Parameter(weight.to(conv.weight.dtype), requires_grad=False)
        conv.bias = nn.Parameter(bias.to(conv.weight.dtype), requires_grad=False)
        model.set_submodule(norm_name, _rest(norm))


def _rest(norm: nn.Module) -> nn.Module:
    """What remains of a norm without its normalisation: timm's may end in an activation."""
    steps: list[Any] = [norm.drop, norm.act] if isinstance(norm, BatchNormAct2d) else []
    return nn.Sequential(*steps) if steps else nn.Identity()
