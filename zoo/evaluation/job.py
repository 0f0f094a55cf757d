"""`zoo eval` from names to a record: what the command does between parsing and printing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from zoo.catalogue import weights_of
from zoo.data.base import ImageData
from zoo.errors import UsageError
from zoo.evaluation.picture import save_glimpses
from zoo.evaluation.preprocessing import Preprocessing
from zoo.evaluation.processes import is_main
from zoo.evaluation.record import Evaluation, write_record
from zoo.evaluation.runner import evaluate
from zoo.factory import create_model
from zoo.plan import make_plan
from zoo.registry import default_registry
from zoo.remarks import refuse_reset
from zoo.sequences import label_classes, sequence_of
from zoo.specs import WeightsSpec
from zoo.viz.canvas import picture_format
from zoo.viz.glimpses import can_show


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Which model on which data, and what to leave behind."""

    model: str
    data: str | None = None
    split: str | None = None
    weights: str | None = None
    backbone_weights: str | None = None
    num_classes: int | None = None
    test_size: bool = False
    record: str | None = None
    picture: str | None = None

    def run(self, **options: Any) -> tuple[Evaluation, dict[str, Any]]:
        """Evaluate with `options` of `evaluate`; the record and picture are written last.

        What can be wrong with the data and the files to write is looked at before any weights are
        fetched.
        """
        _check_output(self.record, "--record")
        _check_output(self.picture, "--picture")
        if self.picture:
            picture_format(self.picture)
        data = self._open(None)
        model = self._build()
        data = self._match(data, model)
        if self.picture and not can_show(model):
            raise UsageError(f"{self.model} takes no glimpses", remedy="leave out --picture")
        settings = Preprocessing.of(model, test_size=self.test_size)
        result = evaluate(model, data, preprocessing=settings, **options)
        weights: Mapping[str, Any] = getattr(model, "zoo_weights", None) or {}
        record = result.record(self.model, weights)
        if is_main():
            self._leave(model, data, settings, record)
        return result, record

    def _build(self) -> nn.Module:
        """The model with its weights; one whose classifier they do not define is not measured."""
        given = {"weights": self.weights, "backbone_weights": self.backbone_weights}
        chosen: dict[str, Any] = {k: v for k, v in given.items() if v} or {"pretrained": True}
        model = create_model(self.model, num_classes=self.num_classes, **chosen)
        refuse_reset(model, self.model, "measured")
        return model

    def _open(self, num_classes: int | None) -> ImageData:
        from zoo.data.resolve import open_data

        return open_data(self.data or self._own_data(), self.split, num_classes=num_classes)

    def _own_data(self) -> str:
        """The data set that the weights, or else the model's default ones, are measured on."""
        found: WeightsSpec | None = None
        if not self.model.startswith("hf-hub:"):
            plan = make_plan(self.model, default_registry())
            stated = weights_of(plan.name, default_registry())
            tag = self.weights or plan.tag
            found = next((w for w in stated if w.tag == tag), stated[0] if stated else None)
        if found is None or not found.dataset:
            raise UsageError(
                f"{self.model} does not say on which data it is measured",
                remedy=f"zoo eval {self.model} --data NAME, or a folder of images",
            )
        return found.dataset

    def _match(self, data: ImageData, model: nn.Module) -> ImageData:
        """The data set with the classes that the model has, where it can be read in two ways."""
        classes = label_classes(model)
        if sequence_of(model) or classes is None or data.num_classes in (None, classes):
            return data
        return self._open(classes)

    def _leave(
        self, model: nn.Module, data: ImageData, settings: Preprocessing, record: dict[str, Any]
    ) -> None:
        if self.picture:
            save_glimpses(self.picture, model, data, settings)
        if self.record:
            write_record(self.record, record)


def _check_output(path: str | None, option: str) -> None:
    """A file that cannot be written is found out before the work, not after it."""
    if path is None:
        return
    parent = Path(path).expanduser().absolute().parent
    while not parent.exists():
        parent = parent.parent
    if Path(path).is_dir() or not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UsageError(f"{option} {path} cannot be written", remedy=f"{option} FILE")
