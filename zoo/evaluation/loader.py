"""Batches of bytes. An item that cannot be read is named and left out, and no batch is padded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from zoo.data.base import Items, describe
from zoo.data.preprocessing import Preprocessing, ToPixels
from zoo.data.sequences import PAD
from zoo.runtime.processes import cores

MOST_WORKERS = 8


@dataclass(slots=True)
class Batch:
    """A batch of B images, of which there may be none.

    Attributes:
        pixels: uint8 (B, H, W, C).
        labels: int64 (B,), or, of sequences, (B, M), the shorter of them filled up with `PAD`.
        skipped: images that could not be read, as in `Counts`.
    """

    pixels: Tensor
    labels: Tensor
    indices: list[int]
    skipped: list[tuple[int, str, str]]

    def pin_memory(self) -> Batch:
        return Batch(self.pixels.pin_memory(), self.labels.pin_memory(), self.indices, self.skipped)


class _Decoded(Dataset[Any]):
    """Item i -> (i, pixels, label), or (i, None, reason)."""

    def __init__(self, items: Items, settings: Preprocessing) -> None:
        self.items, self.to_pixels = items, ToPixels(settings)

    def __getitem__(self, index: int) -> tuple[int, Any, Any]:
        try:
            image, label = self.items[index]
            return index, self.to_pixels(image), _label(label)
        except MemoryError:
            raise
        except Exception as error:  # decoders raise whatever they like on broken files
            reason = " ".join(str(error).split()) or type(error).__name__
            return index, None, (describe(self.items, index), reason)


def collate(rows: Sequence[tuple[int, Any, Any]]) -> Batch:
    """Stack the rows that could be read, and list the others."""
    good = [row for row in rows if row[1] is not None]
    pixels = np.stack([p for _, p, _ in good]) if good else np.empty((0, 0, 0, 0), np.uint8)
    return Batch(
        torch.from_numpy(pixels),
        _stacked([label for _, _, label in good]),
        [index for index, _, _ in good],
        [(index, *reason) for index, image, reason in rows if image is None],
    )


def _label(label: Any) -> int | NDArray[np.int64]:
    """A class index, or a sequence of them as int64 (M,)."""
    if not np.ndim(label):
        return int(label)
    found = np.asarray(label)
    return found.astype(np.int64, casting="same_kind") if found.size else np.empty(0, np.int64)


def _stacked(labels: Sequence[int | NDArray[np.int64]]) -> Tensor:
    if all(isinstance(label, int) for label in labels):
        return torch.tensor(labels, dtype=torch.int64)
    rows = [torch.from_numpy(np.atleast_1d(label)) for label in labels]
    return pad_sequence(rows, batch_first=True, padding_value=PAD)


def batches(
    items: Items,
    settings: Preprocessing,
    indices: Sequence[Sequence[int]],
    *,
    workers: int,
    pin_memory: bool = False,
) -> Iterator[Batch]:
    """Decode the batches of indices, in order, with `workers` processes (0: in this one)."""
    loader: DataLoader[Any] = DataLoader(
        _Decoded(items, settings),
        batch_sampler=[list(batch) for batch in indices],
        num_workers=min(workers, len(indices)),
        collate_fn=collate,
        pin_memory=pin_memory,
    )
    return iter(loader)


def default_workers(asked: int | None, data: Items, processes: int) -> int:
    """The number of decoding processes: what is asked for, else none for data in memory, else one
    a core, and at most 8."""
    if asked is not None:
        return asked
    if getattr(data, "in_memory", False):
        return 0
    return max(1, min(MOST_WORKERS, cores() // processes))


def share(count: int, batch_size: int, rank: int = 0, processes: int = 1) -> list[range]:
    """The batches of one of several processes: every n-th of those that one alone would make.

    So each image is seen once, in the same batch as by one process alone, and has the same logits.
    """
    starts = range(rank * batch_size, count, processes * batch_size)
    return [range(start, min(start + batch_size, count)) for start in starts]
