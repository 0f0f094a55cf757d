"""Workers that decode the first batches while the model is being built.

What they need of the model are the settings of its preprocessing, and the weights state these
before anything is built. If the built model has others, the batches are thrown away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from torch import nn

from zoo.build.plan import make_plan
from zoo.data.base import ImageData, Relabelled
from zoo.data.preprocessing import Preprocessing
from zoo.errors import ZooError
from zoo.evaluation.loader import Batch, batches, default_workers, share
from zoo.registry import default_registry
from zoo.registry.specs import WeightsSpec
from zoo.runtime.device import find_device
from zoo.runtime.processes import launched


class Ahead:
    """Batches of a data set that are being decoded, before the model is known.

    Args:
        settings: the preprocessing that the model is expected to have.
        shares, workers, pin_memory: see `batches`.
    """

    def __init__(
        self, data: ImageData, settings: Preprocessing, shares: list[range], workers: int,
        pin_memory: bool = False,
    ) -> None:  # fmt: skip
        self.data, self.settings, self.shares = data, settings, shares
        self._batches: Iterator[Batch] | None = batches(
            data, settings, shares, workers=workers, pin_memory=pin_memory
        )

    def take(
        self, data: ImageData, settings: Preprocessing, shares: list[range]
    ) -> Iterator[Batch] | None:
        """The batches, once, if they are what is asked for; else None, and the workers end.

        Args:
            data: the data set, or that data set with the classes of the model.
        """
        found, self._batches = self._batches, None
        own = data.items if isinstance(data, Relabelled) else data
        if found is None or own is not self.data:
            return None
        if (settings, shares) != (self.settings, self.shares):
            return None
        return map(partial(_relabel, data), found) if isinstance(data, Relabelled) else found


def _relabel(data: Relabelled, batch: Batch) -> Batch:
    if batch.labels.ndim == 1:  # sequences keep their labels, as in `Relabelled`
        batch.labels = torch.tensor([data.number(n) for n in batch.labels.tolist()]).long()
    return batch


def start(
    model: str, data: ImageData, given: Mapping[str, Any], *, test_size: bool = False,
    batch_size: int = 64, workers: int | None = None, limit: int | None = None,
    device: Any = None, **others: Any,
) -> Ahead | None:  # fmt: skip
    """Start the workers of `evaluate` for a model that is still to be built.

    None where that is not possible: the settings are not stated, the data are in memory, there are
    several processes, or an argument is wrong, which `evaluate` then says.

    Args:
        model: its name.
        given: settings of the preprocessing that go before the model's.
        batch_size, workers, limit, device: as of `evaluate`.
    """
    with suppress(ZooError, TypeError, ValueError):
        number = default_workers(workers, data, 1)
        settings = _expected(model, given, test_size) if number and launched()[1] == 1 else None
        if settings is not None:
            count = len(data) if limit is None else min(limit, len(data))
            cuda = find_device(device).type == "cuda"
            return Ahead(data, settings, share(count, batch_size), number, cuda)
    return None


def _expected(model: str, given: Mapping[str, Any], test_size: bool) -> Preprocessing | None:
    """The settings that the weights of a model state."""
    weights = make_plan(model, default_registry(), pretrained=True).weights
    if not isinstance(weights, WeightsSpec) or "input_size" not in weights.input:
        return None
    stated: Any = nn.Module()  # all that the settings of a model are read from
    stated.pretrained_cfg = dict(weights.input)
    stated.in_chans = int(weights.input["input_size"][0])
    return Preprocessing.of(stated, test_size=test_size, **given)
