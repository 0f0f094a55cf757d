"""`zoo eval` from names to a record: what the command does between parsing and printing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from zoo.build.create import create_model
from zoo.build.plan import make_plan
from zoo.build.remarks import refuse_reset
from zoo.build.saved import is_saved
from zoo.data.base import ImageData
from zoo.data.held_out import open_held_out
from zoo.data.preprocessing import Preprocessing
from zoo.data.resolve import open_data
from zoo.errors import UsageError
from zoo.evaluation.ahead import Ahead, start
from zoo.evaluation.matching import matched
from zoo.evaluation.picture import save_glimpses
from zoo.evaluation.record import Evaluation, write_record
from zoo.evaluation.runner import evaluate
from zoo.explain.glimpses import can_show
from zoo.explain.picture.canvas import picture_format
from zoo.registry import default_registry
from zoo.registry.catalogue import weights_of
from zoo.registry.specs import WeightsSpec
from zoo.runtime.files import all_of
from zoo.runtime.model_record import record_of
from zoo.runtime.processes import is_main

Show = Callable[[Evaluation, dict[str, Any]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Which model is measured on which data, and what is left behind.

    Attributes:
        settings: of the preprocessing, under timm's names. None is the model's own.
    """

    model: str
    data: str | None = None
    split: str | None = None
    weights: str | None = None
    backbone_weights: str | None = None
    num_classes: int | None = None
    test_size: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    record: str | None = None
    picture: str | None = None

    def run(self, show: Show | None = None, **options: Any) -> tuple[Evaluation, dict[str, Any]]:
        """Evaluate, then show the result and write the record and the picture.

        Data and files are checked as far as possible before any weights are fetched. Once there is
        a result, each of the three is done even if another one fails.

        Args:
            show: called in the first process with the result and its record.
            **options: options of `evaluate`.
        """
        _check_output(self.record, "--record")
        _check_output(self.picture, "--picture")
        if self.picture:
            picture_format(self.picture)
        data = self._open()
        options = {"remember": True, "ahead": self._start(data, options), **options}
        model = self._build()
        if self.picture and not can_show(model):
            raise UsageError(f"{self.model} takes no glimpses", remedy="leave out --picture")
        settings = Preprocessing.of(model, test_size=self.test_size, **self.settings)
        result = evaluate(model, data, preprocessing=settings, **options)
        described = record_of(model)
        named = described.name if described and is_saved(self.model, default_registry()) else ""
        record = result.record(named or self.model, described.weights if described else {})
        seen = matched(data, model)[0]
        picture = partial(save_glimpses, model=model, data=seen, settings=settings)
        if is_main():
            all_of(
                lambda: show(result, record) if show else None,
                lambda: write_record(self.record, record) if self.record else None,
                lambda: picture(self.picture) if self.picture else None,
            )
        return result, record

    def _start(self, data: ImageData, options: Mapping[str, Any]) -> Ahead | None:
        """Workers that decode while the model of a name is built."""
        if self.model.startswith("hf-hub:") or is_saved(self.model, default_registry()):
            return None
        return start(self.model, data, self.settings, test_size=self.test_size, **options)

    def _build(self) -> nn.Module:
        """The model with its weights; one whose classifier they do not define is not measured."""
        given = {"weights": self.weights, "backbone_weights": self.backbone_weights}
        chosen: dict[str, Any] = {k: v for k, v in given.items() if v} or {"pretrained": True}
        model = create_model(self.model, num_classes=self.num_classes, **chosen)
        refuse_reset(model, self.model, "measured")
        return model

    def _open(self) -> ImageData:
        """The data that are asked for; else what a run held out, or what the weights state."""
        saved = is_saved(self.model, default_registry())
        if saved and self.data is None and self.split is None:
            held_out = open_held_out(self.model)
            if held_out is not None:
                return held_out
        return open_data(self.data or self._own_data(saved), self.split)

    def _own_data(self, saved: bool) -> str:
        """The data set that the weights, or else the model's default ones, are measured on."""
        found: WeightsSpec | None = None
        if not saved and not self.model.startswith("hf-hub:"):
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


def _check_output(path: str | None, option: str) -> None:
    """A file that cannot be written is found out before the work, not after it."""
    if path is None:
        return
    file = Path(path).expanduser().absolute()
    place = file if file.exists() and not file.is_file() else file.parent  # a device, or a folder
    while not place.exists():
        place = place.parent
    if file.is_dir() or place.is_file() or not os.access(place, os.W_OK):
        raise UsageError(f"{option} {path} cannot be written", remedy=f"{option} FILE")
