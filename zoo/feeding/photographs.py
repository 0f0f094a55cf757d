"""Images of any size, decoded and augmented by worker processes as they are needed."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from timm.data import create_transform
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from zoo.data.base import Items, describe
from zoo.data.preprocessing import Preprocessing, ToPixels, evaluation_steps
from zoo.errors import DataError, RecipeError, ZooWarning
from zoo.feeding.data import Images
from zoo.feeding.feed import Batches
from zoo.feeding.order import Order, part
from zoo.feeding.seeding import seeded
from zoo.recipes import ImageSettings
from zoo.runtime.processes import Processes

TRIES = 10  # images that are tried after one that cannot be read
HELD_OUT_BATCH = 64

Key = tuple[int, int, int]  # epoch, image, which of its repeats


@dataclass(frozen=True, slots=True)
class Failure:
    """An image that could not be read."""

    name: str
    reason: str


class Augmented(Dataset[Any]):
    """Item (epoch, image, repeat) -> (uint8 (C, H, W), label, failures).

    In the place of an image that cannot be read stands the next one that can.
    """

    def __init__(self, items: Items, to_pixels: ToPixels, seed: int) -> None:
        self.items, self.to_pixels, self.seed = items, to_pixels, seed

    def __getitem__(self, key: Key) -> tuple[Tensor, int, list[Failure]]:
        epoch, index, repeat = key
        failures: list[Failure] = []
        for offset in range(TRIES):
            place = (index + offset) % len(self.items)
            try:
                with seeded(self.seed, epoch, place, repeat):
                    return *_read(self.items, place, self.to_pixels), failures
            except MemoryError:
                raise
            except Exception as error:  # decoders raise whatever they like on broken files
                failures.append(_failure(self.items, place, error))
        return torch.empty(0), -1, failures


class Plain(Dataset[Any]):
    """Item i -> (uint8 (C, H, W), label, failures), as evaluation sees it."""

    def __init__(self, items: Items, to_pixels: ToPixels) -> None:
        self.items, self.to_pixels = items, to_pixels

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, int, list[Failure]]:
        try:
            return *_read(self.items, index, self.to_pixels), []
        except MemoryError:
            raise
        except Exception as error:
            return torch.empty(0), -1, [_failure(self.items, index, error)]


def _read(items: Items, index: int, to_pixels: ToPixels) -> tuple[Tensor, int]:
    image, label = items[index]
    if label < 0:
        raise ValueError("its label is none of the classes that are trained")
    return torch.from_numpy(to_pixels(image)).permute(2, 0, 1).contiguous(), int(label)


def _failure(items: Items, index: int, error: Exception) -> Failure:
    reason = " ".join(str(error).split()) or type(error).__name__
    return Failure(describe(items, index), reason)


def _collate(items: Sequence[tuple[Tensor, int, list[Failure]]]) -> tuple[Images, list[Failure]]:
    failures = [failure for _, _, each in items for failure in each]
    good = [(pixels, label) for pixels, label, _ in items if label >= 0]
    if not good:
        return Images(torch.empty(0), torch.empty(0, dtype=torch.int64)), failures
    pixels, labels = zip(*good, strict=True)
    return Images(torch.stack(pixels), torch.tensor(labels, dtype=torch.int64)), failures


def _start_worker(number: int) -> None:
    """Ctrl-C goes to all processes of a terminal; the main one decides when the workers end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _loader(dataset: Any, workers: int, **options: Any) -> DataLoader[Any]:
    return DataLoader(
        dataset,
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # so that the global one is as if there were no loader
        **options,
    )


@dataclass(slots=True)
class Streamed:
    """The batches of a run, from worker processes that read ahead across the ends of epochs."""

    dataset: Augmented
    order: Order
    processes: Processes
    workers: int
    failures: dict[str, str] = field(default_factory=dict[str, str])

    def batches(self, start: int, stop: int) -> Batches:
        """Raises a `DataError` if an image and all `TRIES` that follow it cannot be read."""
        wanted = self.order.batch_size // self.processes.count
        loader = _loader(
            self.dataset, self.workers, batch_sampler=self._keys(start, stop),
            pin_memory=self.processes.device.type == "cuda",
        )  # fmt: skip
        for images, failures in _from(loader):
            _name(failures, self.failures)
            if len(images) < wanted:
                last = failures[-1]
                raise DataError(
                    f"{len(self.failures)} images cannot be read, such as {last.name}: "
                    f"{last.reason}"
                )
            yield images

    def _keys(self, start: int, stop: int) -> Iterator[list[Key]]:
        size, repeats = self.order.batch_size, self.order.repeats
        for step, (epoch, index) in enumerate(self.order.batches(start, stop), start):
            first = step % self.order.steps_per_epoch * size
            copies = torch.arange(first, first + size) % repeats
            own = part(torch.stack((index, copies), 1), self.processes)
            yield [(epoch, image, repeat) for image, repeat in own.tolist()]


@dataclass(slots=True)
class StreamedHeldOut:
    """The held-out images, from worker processes. Those that cannot be read are left out."""

    dataset: Plain
    workers: int
    failures: dict[str, str] = field(default_factory=dict[str, str])

    def __len__(self) -> int:
        return len(self.dataset)

    def batches(self) -> Iterator[Images]:
        loader = _loader(self.dataset, self.workers, batch_size=HELD_OUT_BATCH)
        for images, failures in _from(loader):
            _name(failures, self.failures)
            if len(images):
                yield images


def _from(loader: DataLoader[Any]) -> Iterator[tuple[Images, list[Failure]]]:
    try:
        yield from loader
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise DataError(
            f"a process that decodes images ended: {str(error).splitlines()[0]}",
            remedy="--workers 0 decodes in the main process; fewer workers take less memory",
        ) from error


def _name(failures: Sequence[Failure], known: dict[str, str]) -> None:
    """Warn of each image that cannot be read, once."""
    for failure in failures:
        if failure.name not in known:
            known[failure.name] = failure.reason
            said = f"{failure.name} cannot be read and is left out: {failure.reason}"
            warnings.warn(said, ZooWarning, stacklevel=2)


def augmented(settings: ImageSettings, preprocessing: Preprocessing) -> ToPixels:
    """timm's training transform, from a PIL image or a uint8 array to uint8 (H, W, C).

    Without a random crop, that of evaluation stands in its place.

    Raises:
        RecipeError: timm does not understand `auto_augment`.
    """
    try:
        crop, *others = _training_steps(settings, preprocessing)
    except (AssertionError, ValueError, KeyError) as error:  # timm asserts what it can read
        raise RecipeError(
            f"images.auto_augment = {settings.auto_augment!r} is not understood: {error}",
            remedy='timm\'s words, such as "rand-m9-mstd0.5-inc1"',
        ) from error
    crops = [crop] if settings.scale else evaluation_steps(preprocessing)
    return ToPixels(preprocessing, [*crops, *others])


def _training_steps(settings: ImageSettings, preprocessing: Preprocessing) -> list[Any]:
    """timm's steps, of which the first is the random crop, but for the change to a tensor."""
    transform: Any = create_transform(
        preprocessing.input_size,
        is_training=True,
        scale=tuple(settings.scale) or None,  # pyright: ignore[reportArgumentType]
        ratio=(settings.ratio[0], settings.ratio[1]),
        hflip=settings.hflip,
        vflip=settings.vflip,
        color_jitter=settings.color_jitter,
        auto_augment=settings.auto_augment or None,
        interpolation=settings.interpolation,
        mean=preprocessing.mean,
        std=preprocessing.std,
        use_prefetcher=True,  # bytes in, bytes out: the last step is the change to a tensor
    )
    return transform.transforms[:-1]
