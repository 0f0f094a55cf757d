"""Grad-CAM of one class as maps, and what the model says when that evidence is taken out."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.explain.maps import scores
from zoo.explain.maps.cam import Cam, cams, layers_at, layers_by_default, soft_mask
from zoo.explain.maps.scores import Scores
from zoo.explain.photograph import Frame
from zoo.explain.record import Map
from zoo.hosts.reading.survey import Survey


def evidence(
    model: nn.Module,
    run: Callable[[Tensor], Any],
    x: Tensor,
    survey: Survey,
    found: Scores | None,
    index: int | None,
    at: Sequence[str] | None,
    frame: Frame,
    *,
    name: str = "",
    without: Set[str] = frozenset(),
    skip: str = "",
) -> tuple[list[Map], list[str]]:
    """The maps, and remarks.

    Args:
        found, index: the scores of the pass, and the class; None where there are none.
        at: layers that the user names.
        name: of the class.
        without: paths that are no layers by default.
        skip: why there is no map, if nobody names a layer.
    """
    if at is None and skip:
        return [], [skip]
    if found is None or index is None:
        return [], ["there is no Grad-CAM: the model's output is no score of classes"]

    def score(output: Any) -> Tensor:
        read = scores.read(model, output)
        assert read is not None
        return read.of(index)

    layers = (
        layers_by_default(
            survey, dense=found.kind in ("map", "boxes", "queries"), without=without
        )
        if at is None else layers_at(survey, at)
    )  # fmt: skip
    found_at = cams(model, run, x, score, layers) if layers else []
    if not any(found_at):
        where = ", ".join(each.path for each in layers[:3]) or "no layer of the model"
        return [], [f"there is no Grad-CAM: {_WHY[bool(layers)].format(where)}"]
    made = [each for each in found_at if each is not None]
    maps: list[Map] = []
    for each in made[:1] if at is None else made:
        maps.extend(_maps(model, run, x, found, index, each, frame, name))
    return maps, [_empty(m) for m in maps if m.kind == "cam" and not m.raw.any()]


_WHY = {
    True: "no gradient reaches the positions of {}",
    False: "{} gives a map of the whole image",
}  # fmt: skip


def _maps(
    model: nn.Module, run: Any, x: Tensor, found: Scores, index: int, cam: Cam,
    frame: Frame, name: str,
) -> list[Map]:  # fmt: skip
    site = cam.path or "the output"
    first = _map(site, "cam", cam.values, frame, (f"for {name}",) if name else ())
    if found.kind != "classes" or not bool(cam.values.any()):
        return [first]
    mask = soft_mask(cam.values.to(x.device), (x.shape[2], x.shape[3]))
    with torch.no_grad():
        again = scores.read(model, run(x - mask.to(x.dtype) * x))
    before = float(found.shares()[index])
    after = float(again.shares()[index]) if again is not None else float("nan")
    said = f"probability {100 * before:.1f}%, without it {100 * after:.1f}%"
    return [first, _map(site, "mask", mask, frame, (said,))]


def _map(site: str, kind: str, values: Tensor, frame: Frame, notes: tuple[str, ...]) -> Map:
    raw = values[None].float().cpu().numpy().astype(np.float32)
    return Map(site=site, kind=kind, raw=raw, planes=("map",), frame=frame, notes=notes)


def _empty(each: Map) -> str:
    return f"the Grad-CAM at {each.site} is zero everywhere: nothing there speaks for the class"
