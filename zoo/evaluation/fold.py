"""Folding batch norms into the convolutions before them, in a copy that shares the other tensors.

Which norm follows which convolution is seen in a forward pass, not guessed from names. What the
pass cannot show, such as a second use of a convolution's output, shows in the logits. Callers
compare these.
"""

from __future__ import annotations

import copy
from collections import Counter
from functools import partial
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
    """A copy of the module tree, in eval mode, with the very tensors of the original."""
    tensors = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors}).eval()


class Watch:
    """A context that sees, in a forward pass of `model`, which norm follows which convolution.

    Attributes:
        pairs: (convolution, norm) by name. Each of the two ran once, and the input of the norm was
            the output of the convolution, unchanged. They are complete at the end of the block.
        largest: bytes of the largest output of a convolution.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model, self.largest = model, 0
        self.pairs: list[tuple[str, str]] = []
        self._runs: Counter[str] = Counter()
        self._made: dict[int, tuple[str, Tensor, int]] = {}
        self._hooks: list[Any] = []

    def __enter__(self) -> Watch:
        for name, module in self.model.named_modules():
            if type(module) in _CONVOLUTIONS and not module._forward_hooks:
                hook = module.register_forward_hook(partial(self._convolved, name))
            elif type(module) in _NORMS:
                hook = module.register_forward_pre_hook(partial(self._normed, name))
            else:
                continue
            self._hooks.append(hook)
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()
        self._made.clear()
        uses, runs = Counter(conv for conv, _ in self.pairs), self._runs
        self.pairs = [(c, n) for c, n in self.pairs if uses[c] == runs[c] == runs[n] == 1]

    def _convolved(self, name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._runs[name] += 1
        self.largest = max(self.largest, output.nbytes)
        self._made[id(output)] = name, output, output._version

    def _normed(self, name: str, module: nn.Module, inputs: Any) -> None:
        self._runs[name] += 1
        conv, output, version = self._made.get(id(inputs[0]), ("", None, -1))
        if output is inputs[0] and version == inputs[0]._version:
            self.pairs.append((conv, name))


def rewrite(model: nn.Module, pairs: list[tuple[str, str]]) -> None:
    """Fold the norms of `pairs` away and lay convolutions out channels-last, in place.

    No tensor is changed: modules get new ones, so that a model that shares the old ones keeps its
    own.
    """
    _fold(model, pairs)
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and type(module) in _CONVOLUTIONS:
            weight = module.weight.detach().contiguous(memory_format=torch.channels_last)
            module.weight = nn.Parameter(weight, requires_grad=False)


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
