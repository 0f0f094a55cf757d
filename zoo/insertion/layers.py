"""Layers that tools rebuild by their type, and the place for attention in front of one.

Freezing or synchronising batch norms, quantisation and the like put a new layer where a norm, a
convolution or an activation is; a child or a subclass would be lost without a word. So where a
stage ends in such a layer, its attention goes to the module before.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torch.nn.modules.conv import _ConvNd

from zoo.insertion.probe import Call

_NORMS = (
    "torch.nn.modules.batchnorm", "torch.nn.modules.instancenorm", "torch.nn.modules.normalization",
    "timm.layers.norm", "timm.layers.norm_act", "timm.layers.evo_norm",
    "timm.layers.filter_response_norm", "timm.layers.inplace_abn", "torchvision.ops.misc",
)  # fmt: skip
_ACTIVATIONS = (
    "torch.nn.modules.activation", "timm.layers.activations", "timm.layers.activations_me",
)  # fmt: skip


def is_norm(module: nn.Module) -> bool:
    """Whether it is a norm, with an activation in it or without."""
    return _is_from(module, _NORMS)


def is_activation(module: nn.Module) -> bool:
    """Whether it is an activation without parameters."""
    return _is_from(module, _ACTIVATIONS) and not has_parameters(module)


def is_layer(module: nn.Module) -> bool:
    """Whether it is a norm, a convolution, a linear layer or an activation."""
    return is_norm(module) or _convolves(module) or is_activation(module)


def is_leaf(module: nn.Module) -> bool:
    """Whether it is such a layer, or any module that has no others in it."""
    return is_layer(module) or not any(True for _ in module.children())


def is_chain(module: nn.Module) -> bool:
    """Whether it is a chain of such layers, or a module around a single convolution."""
    if isinstance(module, nn.Sequential):
        return all(is_leaf(child) for child in module)
    return not is_layer(module) and sum(map(_convolves, module.modules())) == 1


def has_parameters(module: nn.Module) -> bool:
    """Whether there is any parameter in it."""
    return any(True for _ in module.parameters())


def runs_its_children(module: nn.Module) -> bool:
    """Whether a child that is added will be run last."""
    return isinstance(module, nn.Sequential) or type(module).__name__ == "RegStage"


def before(model: nn.Module, calls: Sequence[Call], path: str) -> str | None:
    """The module, no layer, that gives what the layer at `path` takes.

    Of several, one in the other, it is the innermost that runs its children, else the innermost.
    """
    taken = {call.takes.moment for call in calls if call.path == path and call.takes}
    modules = dict(model.named_modules())
    givers = [call.path for call in calls if call.gives and call.gives.moment in taken]
    free = [p for p in givers if p and not (is_layer(modules[p]) and has_parameters(modules[p]))]
    return next((p for p in free if runs_its_children(modules[p])), next(iter(free), None))


def _convolves(module: nn.Module) -> bool:
    return isinstance(module, _ConvNd | nn.Linear)


def _is_from(module: nn.Module, files: tuple[str, ...]) -> bool:
    return not isinstance(module, nn.MultiheadAttention) and any(
        cls.__module__ in files for cls in type(module).__mro__
    )
