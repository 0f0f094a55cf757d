"""The outcome of an evaluation, and its record as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from zoo.data.classes import ClassMap
from zoo.errors import UsageError
from zoo.evaluation.metrics import Counts
from zoo.runtime.files import write_atomically
from zoo.version import __version__

_WEIGHTS = ("source", "revision", "sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Accuracy in percent of the images that could be read, and how they were measured.

    Attributes:
        data, split: what the data set is called.
        tally: the counts, a `Tally` of a classifier or a `SequenceTally`.
        preprocessing: the settings used, in timm's names.
        device, device_name, precision, form: where and how; see `Predictor`.
        batch_size, processes: of the run; neither changes the metrics.
        limit: the number of images asked for, if these are not all.
        classes: how the classes of the data became the model's; None if the data names none.
        left_out: files in the data's folders that are no images of a class.
    """

    data: str
    split: str
    tally: Counts
    preprocessing: Mapping[str, Any]
    device: str
    device_name: str
    precision: str
    form: str
    batch_size: int
    processes: int = 1
    limit: int | None = None
    classes: ClassMap | None = None
    left_out: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=lambda: versions())

    @property
    def metrics(self) -> dict[str, float]:
        """In percent: `top1` and `top5`, or of sequences what the properties below say."""
        return self.tally.metrics()

    @property
    def top1(self) -> float:
        return self._metric("top1")

    @property
    def top5(self) -> float:
        return self._metric("top5")

    @property
    def sequence_accuracy(self) -> float:
        """The percentage of sequences that were read without any error."""
        return self._metric("sequence_accuracy")

    @property
    def label_accuracy(self) -> float:
        """Labels read rightly, each at its place, of all up to and with the end symbols."""
        return self._metric("label_accuracy")

    @property
    def images_per_second(self) -> float:
        return self.tally.count / self.tally.seconds

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """(what it is called, why) of images that could not be read."""
        return [(name, reason) for _, name, reason in self.tally.skipped]

    def _metric(self, name: str) -> float:
        metrics = self.metrics
        if name not in metrics:
            raise UsageError(
                f"there is no {name} of this model", remedy=f"one of {', '.join(metrics)}"
            )
        return metrics[name]

    def remarks(self, most: int = 20) -> list[str]:
        """What a reader of the numbers must know: images left out, logits that are no numbers."""
        lines = [f"skipped {name}: {reason}" for name, reason in self.skipped[:most]]
        if len(self.skipped) > most:
            lines.append(f"skipped {len(self.skipped) - most} more; the record names them all")
        if self.left_out:
            names, count = ", ".join(self.left_out[:3]), len(self.left_out)
            lines.append(f"left out what is no image in a class folder: {names}, {count} in all")
        if self.classes and self.classes.doubt:
            lines.append(self.classes.doubt)
        if self.tally.undefined:
            hint = "" if self.precision == "float32" else "; try --no-amp"
            lines.append(f"{self.tally.undefined} images have undefined logits{hint}")
        return lines

    def text(self, model: str = "") -> str:
        """The result for a reader, one fact a line."""
        images = f"{self.tally.count} images"
        if self.limit:
            images = f"the first {images}"
        if self.skipped:
            images += f", {len(self.skipped)} skipped"
        rows = {
            "model": model,
            "data": f"{self.data} {self.split}".strip() + f", {images}",
            "classes": self.classes.text() if self.classes else "",
            **self.tally.rows(),
            "images/s": f"{self.images_per_second:.1f} on {self.device_name}, {self.precision}",
        }
        return "\n".join(f"{key:<10}{value}" for key, value in rows.items() if value)

    def record(self, model: str = "", weights: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The record as plain data. `weights` is `model.zoo.weights`."""
        known = weights or {}
        return {
            "model": model,
            "weights": {**known, **{key: known.get(key) for key in _WEIGHTS}},
            "data": {
                "name": self.data,
                "split": self.split,
                "count": self.tally.count,
                "skipped": len(self.skipped),
                "skipped_images": [{"name": n, "reason": r} for n, r in self.skipped],
                "limit": self.limit,
                "left_out": list(self.left_out),
                "classes": self.classes
                and {
                    "matched_by": self.classes.how,
                    "indices": dict(self.classes.indices),
                },
            },
            "metrics": self.metrics,
            "images_per_second": self.images_per_second,
            "seconds": self.tally.seconds,
            "device": self.device,
            "device_name": self.device_name,
            "precision": self.precision,
            "form": self.form,
            "batch_size": self.batch_size,
            "processes": self.processes,
            "preprocessing": dict(self.preprocessing),
            "undefined_logits": self.tally.undefined,
            "versions": dict(self.versions),
        }


def versions() -> dict[str, str]:
    """The versions that the numbers depend on."""
    names = ("torch", "torchvision", "timm", "pillow", "numpy")
    found = {name: version(name) for name in names}
    return {"zoo": __version__, "python": platform.python_version(), **found}


def write_record(path: str | os.PathLike[str], record: Mapping[str, Any]) -> None:
    """Write a record as JSON, whole or not at all. What is not UTF-8 in a name is escaped."""
    content = json.dumps(record, indent=2, ensure_ascii=False, default=str) + "\n"
    write_atomically(Path(path).expanduser(), content.encode(errors="backslashreplace"))
