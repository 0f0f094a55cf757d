"""Starts as the identity: parameters with which a gate is a constant, and that still learn."""

from __future__ import annotations

from torch import Tensor, nn, no_grad

Layer = nn.Linear | nn.Conv1d | nn.Conv2d


@no_grad()
def zero_(*modules: nn.Module | None) -> None:
    """Set the weight and bias of each module to zero."""
    for module in modules:
        for parameter in module.parameters(recurse=False) if module is not None else ():
            parameter.zero_()


@no_grad()
def pair_hidden_units_(fc1: Layer, fc2: Layer, norm: nn.Module | None = None) -> None:
    """Make fc2(relu(fc1(x))) zero for every x, with a gradient at every layer from the first step.

    Zeroing fc2 alone would leave fc1 without a gradient. Instead, the hidden units go in pairs:
    both have the same row in fc1 and opposite columns in fc2. Every second pair negates the row of
    the pair before, so that of four units two are active for any x. If the number of units is odd,
    the last one starts with a zero column.

    Args:
        fc1, fc2: the layers of a perceptron, or the last two convolutions of a branch.
        norm: a batch norm between them.
    """
    hidden = fc1.out_features if isinstance(fc1, nn.Linear) else fc1.out_channels
    for unit in range(0, hidden - 1, 2):
        row = fc1.weight[unit] if unit % 4 == 0 else -fc1.weight[unit - 2]
        fc1.weight[unit] = fc1.weight[unit + 1] = row
        fc2.weight[:, unit + 1] = -fc2.weight[:, unit]
    if hidden % 2:
        fc2.weight[:, -1] = 0
    for bias in (fc1.bias, fc2.bias):
        if bias is not None:
            bias.zero_()
    if norm is not None:
        for tensor in norm.state_dict().values():
            if tensor.ndim:
                tensor[1 : hidden // 2 * 2 : 2] = tensor[: hidden // 2 * 2 : 2]
    elif hidden < 4:
        _keep_active_(fc1.weight, fc1.bias, fc2.weight)


def _keep_active_(weight: Tensor, bias: Tensor | None, last: Tensor) -> None:
    """Too few units for pairs of both signs: start on the linear side of the ReLU.

    Without a bias for that, a row and its negative, of which one is active, with zero columns.
    """
    if bias is not None:
        weight.mul_(0.01 / weight.flatten(1).norm(dim=1).clamp(min=1e-12).amax())
        bias.fill_(0.1)
    else:
        last.zero_()
        weight[1::2].neg_()
