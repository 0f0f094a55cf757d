"""The maps that a model gives of itself: `attention_maps(images) -> {name: (B, P, h, w)}`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.data.sequences import label_classes
from zoo.errors import PluginError
from zoo.explain.photograph import Frame
from zoo.explain.record import Map

FEW = 8  # planes that each mean something by themselves: slots, steps


def can_map(model: nn.Module) -> bool:
    """Whether a model shows its masks."""
    return callable(getattr(model, "attention_maps", None))


def maps(model: nn.Module, x: Tensor, frame: Frame, target: int | None, channels: int) -> list[Map]:
    """The model's own maps of one image, from coarse to fine.

    Of as many planes as the model has classes, that of the target comes first; of any others their
    mean, and then the planes that vary most over the image.

    Raises:
        PluginError: the model gives something else.
    """
    if not can_map(model):
        return []
    given = model.attention_maps(x)  # pyright: ignore[reportCallIssue]
    for name, values in given.items():
        if not isinstance(values, Tensor) or values.ndim != 4 or len(values) != 1:
            raise PluginError(
                f"attention_maps of {type(model).__name__} gives no (B, P, h, w) as {name!r}",
                remedy="return {name: (B, P, h, w)}",
            )
    classes = label_classes(model)
    found = [
        _map(name, values[0].detach().float().cpu(), frame, target if len(values[0]) == classes
             else None, channels)
        for name, values in given.items()
    ]  # fmt: skip
    return sorted(found, key=lambda each: each.raw.shape[1] * each.raw.shape[2])


def _map(name: str, values: Tensor, frame: Frame, target: int | None, channels: int) -> Map:
    raw, planes = _planes(values, target, channels)
    return Map(site=name, kind="own", raw=raw.numpy(), planes=planes, frame=frame,
               drawn=len(raw))  # fmt: skip


def _planes(values: Tensor, target: int | None, channels: int) -> tuple[Tensor, tuple[str, ...]]:
    """What is drawn of (P, h, w), and what it is called."""
    count = len(values)
    if count == 1:
        return values, ("map",)
    if target is not None:
        return values[target : target + 1], (f"plane of class {target}",)
    varying = values.flatten(1).std(1, unbiased=False).argsort(descending=True)
    chosen = range(count) if count <= FEW else varying[:channels].tolist()
    raw = torch.cat((values.mean(0, keepdim=True), values[list(chosen)]))
    return raw, (f"mean of {count} planes", *(f"plane {p}" for p in chosen))
