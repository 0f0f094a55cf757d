"""What a run takes its batches from, and what it is measured on."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Protocol

from zoo.feeding.data import Images, Source
from zoo.feeding.order import Order, part
from zoo.runtime.processes import Processes

Batches = Generator[Images, None, None]  # closing it ends what reads ahead


class Feed(Protocol):
    """The batches of a run."""

    @property
    def order(self) -> Order:
        """Which images each step takes."""
        ...

    def batches(self, start: int, stop: int) -> Batches:
        """This process's part of the batch of each step from `start` to before `stop`."""
        ...


class HeldOut(Protocol):
    """The images that a run is measured on."""

    def __len__(self) -> int: ...

    def batches(self) -> Iterator[Images]:
        """All images, in order."""
        ...


@dataclass(frozen=True, slots=True)
class InMemory:
    """The batches of a source that is in memory, or that draws images on the device."""

    source: Source
    order: Order
    processes: Processes

    def batches(self, start: int, stop: int) -> Batches:
        for epoch, index in self.order.batches(start, stop):
            yield self.source.batch(part(index, self.processes), epoch)
