"""Folding batch norms into the convolutions before them, in a copy that shares the other tensors.

Which norm follows which convolution is seen in a forward pass, not guessed from names. What the
pass cannot show, such as a second use of a convolution's output, shows in the logits. Callers
compare these.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import torch
from timm.layers import BatchNormAct2d
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from zoo.evaluation.fused import ACTIVATIONS, FusedConv, can_fuse

# Exact types: subclasses may compute their weight (weight standardisation) or their statistics.
_CONVOLUTIONS = (nn.Conv2d, Conv2dSame)
_NORMS = (nn.BatchNorm2d, BatchNormAct2d)


def share_tensors(model: nn.Module) -> nn.Module:
    """A copy of the module tree, in eval mode, with the very tensors of the original."""
    tensors = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors}).eval()


@dataclass(slots=True)
class Seen:
    """What a forward pass shows, as plain data.

    Attributes:
        pairs: (convolution, norm) by name. Each of the two ran once, and the input of the norm was
            the output of the convolution, unchanged.
        acts: (convolution or norm, activation) by name, likewise.
        shapes: of the input of each convolution that ran once, by name.
        largest: bytes of the largest output of a convolution.
    """

    pairs: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    acts: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    largest: int = 0


class Watch:
    """A context that sees, in a forward pass of `model`, what follows which convolution.

    Attributes:
        seen: what was seen; complete at the end of the block.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model, self.seen = model, Seen()
        self._runs: Counter[str] = Counter()
        self._made: dict[int, tuple[str, Tensor, int]] = {}
        self._hooks: list[Any] = []

    def __enter__(self) -> Watch:
        for name, module in self.model.named_modules():
            kind = type(module)
            if kind in _CONVOLUTIONS and not module._forward_hooks:
                self._hooks += [module.register_forward_hook(partial(self._convolved, name))]
            elif kind in _NORMS and not module._forward_hooks:
                self._hooks += [
                    module.register_forward_pre_hook(partial(self._follows, name, self.seen.pairs)),
                    module.register_forward_hook(partial(self._gave, name)),
                ]
            elif kind in ACTIVATIONS and kind is not nn.Identity and not module._forward_hooks:
                hook = partial(self._follows, name, self.seen.acts)
                self._hooks += [module.register_forward_pre_hook(hook)]
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()
        self._made.clear()
        seen, once = self.seen, [name for name in self.seen.shapes if self._runs[name] == 1]
        seen.pairs, seen.acts = self._single(seen.pairs), self._single(seen.acts)
        seen.shapes = {name: seen.shapes[name] for name in once}

    def _single(self, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
        uses, runs = Counter(maker for maker, _ in pairs), self._runs
        return [(m, user) for m, user in pairs if uses[m] == runs[m] == runs[user] == 1]

    def _convolved(self, name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._runs[name] += 1
        self.seen.largest = max(self.seen.largest, output.nbytes)
        self.seen.shapes[name] = tuple(inputs[0].shape)
        self._gave(name, module, inputs, output)

    def _gave(self, name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._made[id(output)] = name, output, output._version

    def _follows(
        self, name: str, pairs: list[tuple[str, str]], module: nn.Module, inputs: Any
    ) -> None:
        self._runs[name] += 1
        maker, output, version = self._made.get(id(inputs[0]), ("", None, -1))
        if output is inputs[0] and version == inputs[0]._version:
            pairs.append((maker, name))


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
    if not isinstance(norm, BatchNormAct2d):
        return nn.Identity()
    drop, act = cast(nn.Module, norm.drop), cast(nn.Module, norm.act)
    return act if type(drop) is nn.Identity else nn.Sequential(drop, act)


def fuse(model: nn.Module, seen: Seen) -> None:
    """Let oneDNN compute convolutions with the activations after them, in place.

    Args:
        model: after `rewrite` with the pairs of `seen`.
        seen: what a pass of the model that `model` was made from has shown.
    """
    norms, acts = dict(seen.pairs), dict(seen.acts)
    for name, shape in seen.shapes.items():
        conv: Any = model.get_submodule(name)
        place = _activation(model, name, norms, acts)
        act = model.get_submodule(place) if place else nn.Identity()
        if can_fuse(conv, nn.Identity()):
            fits = can_fuse(conv, act)
            model.set_submodule(name, FusedConv(conv, act if fits else nn.Identity(), shape))
            if place and fits:
                model.set_submodule(place, nn.Identity())


def _activation(
    model: nn.Module, conv: str, norms: Mapping[str, str], acts: Mapping[str, str]
) -> str | None:
    """The name of what stands after a convolution whose norm is folded away."""
    norm = norms.get(conv)
    if norm is None:
        return acts.get(conv)
    return acts.get(norm) if type(model.get_submodule(norm)) is nn.Identity else norm
