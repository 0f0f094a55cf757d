"""The loop that measures a model on a data set."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from numbers import Integral

import torch
from torch import Tensor, nn

from zoo.data.base import ImageData, Items, adapt
from zoo.data.preprocessing import Preprocessing
from zoo.errors import DataError, OptionError, UsageError, ZooError
from zoo.evaluation.ahead import Ahead
from zoo.evaluation.labels import LabelKind
from zoo.evaluation.loader import Batch, batches, default_workers, share
from zoo.evaluation.matching import matched
from zoo.evaluation.metrics import Counts
from zoo.evaluation.predictor import Predictor
from zoo.evaluation.record import Evaluation
from zoo.runtime.device import device_name
from zoo.runtime.processes import Processes, join
from zoo.runtime.progress import bar

Sink = Callable[[list[int], Tensor, Tensor], object]


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
    remember: bool = False,
    ahead: Ahead | None = None,
) -> Evaluation:
    """Top-1 and top-5 accuracy of a classifier on a labelled data set.

    Classes are matched by name where the data set names them (`zoo.data.classes`): by the model's
    own label names, as numbers, as ImageNet's; by their order only where nothing else can be.

    Of a model that reads sequences (`zoo.data.sequences`): how many are right from the first label
    to the last, and how many labels are, up to and with the end symbol.

    Under `torchrun` or `accelerate launch` each process takes every n-th batch, and all return
    the result of the whole.

    Args:
        model: images to logits (B, K), or by its `sequence` to (B, L, K); it is neither moved nor
            changed.
        dataset: `data[i]` is (PIL image or uint8 array, class index, or a sequence of these, of
            any length up to the model's if that has an end symbol).
        device: default CUDA if there is one, else the CPU.
        workers: processes that decode; default one a core (at most 8), none for data in memory.
        amp: see `autocast_dtype`. limit: only the first so many images.
        progress: draw a bar on stderr; default on a terminal only.
        strict: an image that cannot be read is an error; else it is left out, and named.
        preprocessing: default the model's own.
        sink: called with (indices, logits, labels) of each batch of this process; sequences are
            filled up to L with the end symbol.
        remember: take the form of the model that is remembered, and remember it; see `Predictor`.
        ahead: workers that have started on this data set already, used if they do what is needed.

    Raises:
        DataError: the data set is empty, its classes are not the model's, it has sequences and
            the model one class or the reverse, a sequence does not fit, no image can be read, or
            (strict) one cannot.
        UsageError: the device, or what is no model or no data set.
        OptionError: a number below its least.
    """
    _check_numbers(batch_size=batch_size, limit=limit, workers=workers)
    _check_kinds(model, dataset)
    data, classes = matched(adapt(dataset), model)
    kind = LabelKind.of(model, data)
    count = len(data) if limit is None else min(limit, len(data))
    processes = join(device)
    predictor = Predictor(
        model, preprocessing, device=processes.device, amp=amp, remembers=remember
    )
    run = _Run(data, predictor, kind, strict, sink, ahead)
    tally = _everyone(
        processes,
        kind.tally(),
        lambda: run.measure(
            share(count, batch_size, processes.rank, processes.count),
            default_workers(workers, data, processes.count),
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
        limit=limit if count < len(data) else None,
        classes=classes,
        left_out=tuple(getattr(data, "left_out", ())),
    )


class _Run:
    """What stays the same from batch to batch."""

    def __init__(
        self,
        data: ImageData,
        predictor: Predictor,
        kind: LabelKind,
        strict: bool,
        sink: Sink | None,
        ahead: Ahead | None,
    ) -> None:
        self.data, self.predictor, self.kind = data, predictor, kind
        self.strict, self.sink, self.ahead = strict, sink, ahead

    def measure(self, shares: list[range], workers: int, progress: bool | None) -> Counts:
        tally, total = self.kind.tally(), sum(map(len, shares))
        start, cuda = time.perf_counter(), self.predictor.device.type == "cuda"
        with bar(self.data.name, total, progress) as show:
            for batch in self._batches(shares, workers, cuda):
                self._count(batch, tally)
                show(tally.count + len(tally.skipped), tally.note())
        tally.seconds = time.perf_counter() - start
        return tally

    def _batches(self, shares: list[range], workers: int, cuda: bool) -> Iterator[Batch]:
        settings = self.predictor.settings
        begun = self.ahead.take(self.data, settings, shares) if self.ahead else None
        if begun is not None:
            return begun
        return batches(self.data, settings, shares, workers=workers, pin_memory=cuda)

    def _count(self, batch: Batch, tally: Counts) -> None:
        if batch.skipped and self.strict:
            _, name, reason = batch.skipped[0]
            raise DataError(f"cannot read {name}: {reason}", remedy="leave out --strict to skip it")
        tally.skipped += batch.skipped
        if not batch.indices:
            return
        labels = self.kind.check(batch.labels, batch.indices)
        logits = self.predictor(batch.pixels)
        tally.update(logits, labels.to(logits.device))
        if self.sink is not None:
            self.sink(batch.indices, logits, labels)


def _everyone(processes: Processes, total: Counts, measure: Callable[[], Counts]) -> Counts:
    """Measure here and elsewhere, and add to `total`; an error of one process is raised by all, so
    that none waits."""
    outcome: Counts | ZooError
    try:
        outcome = measure()
    except ZooError as error:
        outcome = error
    for part in processes.gather(outcome):
        if isinstance(part, ZooError):
            raise part
        total += part
    return total


def _check_kinds(model: object, dataset: object) -> None:
    """Refuse a name where a model or a data set is meant, and what cannot be indexed."""
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"{model!r:.80} is not a model (torch.nn.Module)",
            remedy=f"evaluate(zoo.create_model({model!r:.80}, pretrained=True), dataset)",
        )
    if isinstance(dataset, str | bytes | os.PathLike):
        name = os.fsdecode(dataset)
        raise UsageError(
            f"{name!r} is a name, not a data set",
            remedy=f"evaluate(model, zoo.evaluation.open_data({name!r}))",
        )
    if not all(hasattr(dataset, method) for method in ("__len__", "__getitem__")):
        raise UsageError(
            f"a {type(dataset).__name__} is not a map-style data set: len(data) and data[i]",
            remedy="evaluate(model, dataset), where dataset[i] is (image, class index)",
        )


def _check_numbers(**numbers: int | None) -> None:
    for name, value in numbers.items():
        least = 0 if name == "workers" else 1
        if value is not None and not (isinstance(value, Integral) and value >= least):
            raise OptionError(f"{name}={value!r} is no whole number of at least {least}")
