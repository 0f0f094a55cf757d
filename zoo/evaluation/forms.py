"""The forms in which a model can be run, the fastest first."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from zoo.evaluation import fused
from zoo.evaluation.fold import Seen, fuse, rewrite

AS_IT_IS = "as it is"
FUSED = "fused, folded, channels-last"
FOLDED = "folded, channels-last"
CHANNELS_LAST = "channels-last"
FORMS = (FUSED, FOLDED, CHANNELS_LAST, AS_IT_IS)


def candidates(seen: Seen, device: torch.device, dtype: torch.dtype) -> Iterator[str]:
    """The forms that are worth a trial, the fastest first, without the model as it is.

    Args:
        dtype: in which the model computes, with autocast if there is one.
    """
    if (seen.pairs or seen.acts) and fused.available(device, dtype):
        yield FUSED
    if seen.pairs:
        yield FOLDED
    yield CHANNELS_LAST


def bring(model: nn.Module, form: str, seen: Seen) -> None:
    """Bring a model into one of `FORMS`, in place; it may share its tensors with another one."""
    if form == AS_IT_IS:
        return
    rewrite(model, seen.pairs if form in (FUSED, FOLDED) else [])
    if form == FUSED:
        fuse(model, seen)
