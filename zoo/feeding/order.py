"""The order in which a run takes its images: each epoch in another one, which its seed decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.runtime.processes import Processes

TOGETHER = 16


@dataclass(frozen=True, slots=True)
class Order:
    """Which images each step takes.

    Attributes:
        count: the number of images.
        batch_size: the number of images of a step. An incomplete last batch is left out.
        seed: of the run.
        repeats: how often an image is in an epoch, one time after the other. The epoch has as many
            steps as without repeats, and so only a part of the images.
        blocks: int64 (N,), the block of each image, where those of a block are read together. The
            blocks are shuffled, and the images among `TOGETHER` blocks at a time.
    """

    count: int
    batch_size: int
    seed: int
    repeats: int = 1
    blocks: Tensor | None = None

    @property
    def steps_per_epoch(self) -> int:
        return self.count // self.batch_size

    def batches(self, start: int, stop: int) -> Iterator[tuple[int, Tensor]]:
        """The epoch, and the images int64 (B,) of each step from `start` to before `stop`."""
        known, order = -1, torch.empty(0)
        for step in range(start, stop):
            epoch, place = divmod(step, self.steps_per_epoch)
            if epoch != known:
                known, order = epoch, self._of_epoch(epoch)
            yield epoch, order[place * self.batch_size : (place + 1) * self.batch_size]

    def _of_epoch(self, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        order = torch.randperm(self.count, generator=generator)
        if self.blocks is not None:
            place = torch.randperm(int(self.blocks.max()) + 1, generator=generator)
            order = order[(place[self.blocks[order]] // TOGETHER).argsort(stable=True)]
        return order.repeat_interleave(self.repeats)[: self.count] if self.repeats > 1 else order


def part(index: Tensor, processes: Processes) -> Tensor:
    """The items of a batch that belong to this process."""
    return index[processes.rank :: processes.count]
