"""A model is exported at rest: in evaluation, on the CPU; then it is what it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from zoo.errors import UsageError


@contextmanager
def at_rest(model: nn.Module) -> Iterator[None]:
    """Within, the model is in evaluation mode and on the CPU, and no gradients are kept.

    Afterwards each module has the mode, and the model the device, that it had.

    Raises:
        UsageError: it is on several devices, or on one that holds no numbers.
    """
    device = _device(model)
    modes = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad():
            model.eval().to("cpu")
            yield
    finally:
        model.to(device)
        for module, training in modes.items():
            module.training = training


def _device(model: nn.Module) -> torch.device:
    devices = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
    if len(devices) > 1:
        names = ", ".join(sorted(map(str, devices)))
        raise UsageError(f"the model is on several devices: {names}", remedy='model.to("cpu")')
    device = next(iter(devices), torch.device("cpu"))
    if device.type == "meta":
        raise UsageError(
            "the model is on the meta device, where it has no numbers",
            remedy='model.to_empty(device="cpu"), then load its weights',
        )
    return device
