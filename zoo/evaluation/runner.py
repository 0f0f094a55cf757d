"""The evaluation loop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data.base import ImageData, Items, adapt
from zoo.errors import DataError, OptionError, ZooError
from zoo.evaluation.device import device_name
from zoo.evaluation.loader import Batch, batches, share
from zoo.evaluation.metrics import Tally
from zoo.evaluation.predictor import Predictor
from zoo.evaluation.preprocessing import Preprocessing
from zoo.evaluation.processes import Processes, join
from zoo.evaluation.progress import bar
from zoo.evaluation.record import Evaluation

Sink = Callable[[list[int], Tensor, Tensor], object]
MOST_WORKERS = 8


def evaluate(
    model: nn.Module,
    dataset: Items,
    *,
    device: str | torch.device | None = None,
    batch_size: int = 64,
    workers: int | None = None,
    amp: bool | None = None,
    limit: int | None = None,
    progress: bool | None = None,
    strict: bool = False,
    preprocessing: Preprocessing | None = None,
    sink: Sink | None = None,
) -> Evaluation:
    """Top-1 and top-5 accuracy of a classifier on a labelled data set.

    Under `torchrun` or `accelerate launch` each process takes every n-th batch, and all return
    the result of the whole.

    Args:
        model: images to logits (B, K); it is neither moved nor changed.
        dataset: `data[i]` is (PIL image or uint8 array, class index).
        device: default CUDA if there is one, else the CPU.
        workers: processes that decode; default one a core (at most 8), none for data in memory.
        amp: see `autocast_dtype`. limit: only the first so many images.
        progress: draw a bar on stderr; default on a terminal only.
        strict: an image that cannot be read is an error; else it is left out, and named.
        preprocessing: default the model's own.
        sink: called with (indices, logits, labels) of each batch of this process.

    Raises:
        DataError: the data set is empty, its classes are not the model's, no image can be read,
        or (strict) one cannot. UsageError: the device. OptionError: a number below its least.
    """
    _check_numbers(batch_size=batch_size, limit=limit, workers=workers)
    data = adapt(dataset)
    classes = _check_classes(data, model)
    _check_labels(data)
    count = len(data) if limit is None else min(limit, len(data))
    processes = join(device)
    predictor = Predictor(model, preprocessing, device=processes.device, amp=amp)
    run = _Run(data, predictor, classes, strict, sink)
    tally = _everyone(
        processes,
        lambda: run.measure(
            share(count, batch_size, processes.rank, processes.count),
            _workers(workers, data, processes.count),
            progress if processes.rank == 0 else False,
        ),
    )
    if not tally.count:
        first = tally.skipped[0]
        raise DataError(f"none of {count} images can be read; {first[1]}: {first[2]}")
    return Evaluation(
        data=data.name,
        split=data.split,
        tally=tally,
        preprocessing=predictor.settings.asdict(),
        device=str(predictor.device),
        device_name=device_name(predictor.device),
        precision=predictor.precision,
        form=predictor.form,
        batch_size=batch_size,
        processes=processes.count,
        limit=limit,
    )


class _Run:
    """What stays the same from batch to batch."""

    def __init__(
        self, data: ImageData, predictor: Predictor, classes: int, strict: bool, sink: Sink | None
    ) -> None:
        self.data, self.predictor, self.classes = data, predictor, classes
        self.strict, self.sink = strict, sink

    def measure(self, shares: list[range], workers: int, progress: bool | None) -> Tally:
        tally, total = Tally(), sum(map(len, shares))
        start, cuda = time.perf_counter(), self.predictor.device.type == "cuda"
        with bar(self.data.name, total, progress) as show:
            for batch in batches(
                self.data, self.predictor.settings, shares, workers=workers, pin_memory=cuda
            ):
                self._count(batch, tally)
                show(tally.count + len(tally.skipped), f"top-1 {_percent(tally)}")
        tally.seconds = time.perf_counter() - start
        return tally

    def _count(self, batch: Batch, tally: Tally) -> None:
        if batch.skipped and self.strict:
            _, name, reason = batch.skipped[0]
            raise DataError(f"cannot read {name}: {reason}", remedy="leave out --strict to skip it")
        tally.skipped += batch.skipped
        if not batch.indices:
            return
        self._check_labels(batch)
        logits = self.predictor(batch.pixels)
        tally.update(logits, batch.labels.to(logits.device))
        if self.sink is not None:
            self.sink(batch.indices, logits, batch.labels)

    def _check_labels(self, batch: Batch) -> None:
        wrong = (batch.labels < 0) | (batch.labels >= self.classes)
        if wrong.any():
            at = int(wrong.nonzero()[0])
            raise DataError(
                f"image {batch.indices[at]} has label {int(batch.labels[at])}, "
                f"and the model has classes 0 to {self.classes - 1}",
                where=self.data.name,
            )


def _everyone(processes: Processes, measure: Callable[[], Tally]) -> Tally:
    """Measure here and elsewhere; an error of one process is raised by all, so that none waits."""
    outcome: Tally | ZooError
    try:
        outcome = measure()
    except ZooError as error:
        outcome = error
    total = Tally()
    for part in processes.gather(outcome):
        if isinstance(part, ZooError):
            raise part
        total += part
    return total


def _check_numbers(**numbers: int | None) -> None:
    for name, value in numbers.items():
        least = 0 if name == "workers" else 1
        if value is not None and value < least:
            raise OptionError(f"{name}={value} is less than {least}")


def _check_labels(data: ImageData) -> None:
    """Refuse sequences of labels before all images have been gone through in vain."""
    try:
        _, label = data[0]
    except Exception:  # an image that cannot be read is named later
        return
    if np.ndim(label) > 0:
        raise DataError(
            f"an image has {np.size(label)} labels, where one class is measured",
            where=data.name,
            remedy="zoo train RECIPE measures sequences on its held-out images",
        )


def _check_classes(data: ImageData, model: nn.Module) -> int:
    """The model's number of classes; an error unless the data set has as many."""
    if not len(data):
        raise DataError("the data set is empty", where=data.name)
    classes = getattr(model, "num_classes", None)
    if not isinstance(classes, int):
        classes = data.num_classes
    if not classes:
        raise OptionError("the model has no classifier", remedy="create it with num_classes > 0")
    if data.num_classes is not None and data.num_classes != classes:
        raise DataError(
            f"the data set has {data.num_classes} classes and the model {classes}",
            where=data.name,
            remedy="a data set of the model's classes, or weights trained on these",
        )
    return classes


def _workers(asked: int | None, data: ImageData, processes: int) -> int:
    if asked is not None:
        return asked
    if getattr(data, "in_memory", False):
        return 0
    return max(1, min(MOST_WORKERS, _cores() // processes))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _percent(tally: Tally) -> str:
    return f"{100 * tally.top1 / tally.count:.2f} %" if tally.count else ""
