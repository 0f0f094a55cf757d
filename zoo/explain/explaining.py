"""`zoo.explain`: what a model saw in a photograph, and what its attention did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zoo.data.preprocessing import Preprocessing
from zoo.data.sequences import sequence_of
from zoo.errors import UsageError
from zoo.explain import glimpses, outlines
from zoo.explain.host import arguments, as_it_was, settings_of, tensor_for, unwrapped
from zoo.explain.maps import own, scores, sites
from zoo.explain.maps.evidence import evidence
from zoo.explain.maps.mixing import attention_maps
from zoo.explain.maps.refining import gain_maps, places
from zoo.explain.naming import ClassNames, class_names
from zoo.explain.passes import Watched, watched
from zoo.explain.photograph import ImageLike, Photograph, photograph
from zoo.explain.record import Explanation, Map, Prediction, Resampled, photograph_fields
from zoo.runtime.model_record import record_of

TOP = 5  # predictions
ALSO_FOR_TENSORS = {"mean", "std"}  # by which a picture of what is resampled is made


def explain(
    model: nn.Module,
    image: ImageLike,
    *,
    target: int | str | None = None,
    at: str | Sequence[str] | None = None,
    sites: str | Sequence[str] | None = None,
    channels: int = 3,
    size: int | tuple[int, int] | None = None,
    **preprocessing: Any,
) -> Explanation:
    """Explain what a model sees in an image: its classes, where the evidence for one of them lies
    (Grad-CAM), and what its attention did there.

    Of a model with attention the gains or masks of that are found; of softmax attention the rows of
    its matrix; of a glimpse model where it looked; of a spatial transformer what it resampled. A
    model without any attention is explained by Grad-CAM alone, and `remarks` says so.

    The model is not changed: modes, hooks, gradients and random numbers are what they were. It is
    run once as it is, and three times at most for Grad-CAM and what is left without its evidence.

    Args:
        model: any `torch.nn.Module`: of the zoo, timm, torchvision, transformers, or your own.
        image: a file, a PIL image or uint8 (H, W[, C]), of any size, which goes through the model's
            own preprocessing; or the model's input itself, a float tensor (C, h, w).
        target: the class that is explained, by its number or its name. Default: the predicted.
        at: the layers of Grad-CAM, as paths or patterns. Default: the last map of the network; of
            a segmentation or detection network, of its backbone.
        sites: the attentions that are drawn, as paths or patterns (`"**"` is all of them), or any
            other module that keeps the shape of its input. Default: the last one of each size of
            map, and the last softmax attention.
        channels: how many planes of a map that has several are drawn beside the first.
        size: rows and columns of the model's input, instead of its own.
        **preprocessing: `mean`, `std`, `crop_pct`, `crop_mode`, `interpolation`, as in timm.

    Returns:
        An `Explanation`: `predictions`, `target`, `maps` by site, `figure()`, `save(path)`.

    Raises:
        DataError: no image can be read. UnknownNameError: no class has that name, with the closest.
        UsageError: a class, a layer or a site does not exist, with the closest; the model fails on
        the image; a setting cannot be, or says nothing of a tensor.
        IncompatibleBackboneError: the model is compiled in place; `at` names no map.
    """
    model = unwrapped(model)
    _check_input(image, size, preprocessing)
    settings, assumed = settings_of(model, size, **preprocessing)
    taken = photograph(image, settings)
    chosen = places(model, _listed(sites))
    job = _Job(model, taken, settings, channels)
    with as_it_was(model), torch.random.fork_rng(devices=_devices(model)):
        return job.explain(target, _listed(at), chosen, assumed if not _is_input(image) else "")


@dataclass(frozen=True, slots=True)
class _Job:
    """One image and one model, in evaluation mode."""

    model: nn.Module
    taken: Photograph
    settings: Preprocessing
    channels: int

    def explain(self, target: Any, at: Any, chosen: Any, assumed: str) -> Explanation:
        x = tensor_for(self.model, self.taken.input)
        run = runner(self.model)
        with torch.no_grad():
            seen = watched(self.model, run, x, chosen.inserted)
            shown = _shown(self.model, x, self.settings)
        found = scores.read(self.model, seen.output)
        names = class_names(self.model, found.count if found else None,
                            classifies=bool(found and found.kind == "classes"))  # fmt: skip
        predictions = _predictions(found, names)
        index = _target(found, names, predictions, target)
        remarks = [assumed, names.remark if predictions else "", *_untrained(self.model)]
        with torch.no_grad():
            drawn = self._maps(seen, chosen, x, index)
        name = names.of(index) if predictions and index is not None else ""
        cams, said = evidence(
            self.model, run, x, seen.survey, found, index, at, self.taken.frame, name=name,
            without=_inside(self.model, chosen.inserted), skip=_why_no_cam(self.model, shown),
        )  # fmt: skip
        remarks += [*said, *drawn[1], *seen.remarks]
        return Explanation(
            **photograph_fields(self.taken), **shown, model=_name(self.model),
            predictions=tuple(predictions[:TOP]), text=found.text if found else "",
            target=_find(predictions, index), remarks=tuple(dict.fromkeys(filter(None, remarks))),
            maps=_by_site([*cams, *drawn[0]]),
        )  # fmt: skip

    def _maps(
        self, seen: Watched, chosen: Any, x: Tensor, index: int | None
    ) -> tuple[list[Map], list[str]]:
        frame, model = self.taken.frame, self.model
        found = own.maps(model, x, frame, index, self.channels)
        gains, said = gain_maps(model, seen, chosen, frame)
        mixed, more = attention_maps(model, seen, chosen, frame, self.channels)
        maps, said = [*found, *gains, *mixed], [*said, *more]
        shown = maps or said or glimpses.can_show(model) or outlines.can_outline(model)
        return maps, said if shown else [_NO_ATTENTION]


_NO_ATTENTION = (
    "no attention is drawn: it has none of the zoo's, and no softmax attention over the whole image"
)


def runner(model: nn.Module) -> Any:
    """From images to the model's output; of a model that reads sequences, to its sequence."""
    read: Any = model.sequence if sequence_of(model) is not None else model  # pyright: ignore

    def run(x: Tensor) -> Any:
        args, keywords = arguments(model, x)
        return read(*args, **keywords)

    return run


def _shown(model: Any, x: Tensor, settings: Preprocessing) -> dict[str, Any]:
    """Glimpses, or what a spatial transformer took, of a model that shows them."""
    if glimpses.can_show(model):
        path = model.glimpses(x)
        found = glimpses.GlimpsePath(locations=path.locations.cpu(), sides=tuple(path.sides))
        return {"glimpses": found}
    if not outlines.can_outline(model):
        return {}
    polygons = model.outlines(x)
    if not len(polygons):
        return {}
    image = outlines.resampled(model, x, settings)
    return {
        "resampled": Resampled(
            outlines=polygons[:, 0].float().cpu().numpy(),
            image=image[0] if image is not None else None, identity=outlines.are_whole(polygons),
        )
    }  # fmt: skip


def _why_no_cam(model: nn.Module, shown: dict[str, Any]) -> str:
    if "glimpses" in shown:
        return "there is no Grad-CAM: the layers see glimpses, not the image"
    if "resampled" in shown:
        return "there is no Grad-CAM: the layers see what was resampled, not the image"
    return ""


def _inside(model: nn.Module, there: Sequence[sites.Inserted]) -> set[str]:
    """The paths of all that was put into the model."""
    inner = {id(module) for each in there if each.name for module in each.form.modules()}
    return {path for path, module in model.named_modules() if id(module) in inner}


def _predictions(found: scores.Scores | None, names: ClassNames) -> list[Prediction]:
    if found is None or found.kind == "sequence":
        return []
    shares = found.shares()
    order = shares.argsort(descending=True).tolist()
    return [
        Prediction(index=i, name=names.of(i), probability=float(shares[i]))
        for i in order
        if not (found.kind in ("map", "boxes") and shares[i] == 0 and i != order[0])
    ]


def _target(
    found: scores.Scores | None, names: ClassNames, predictions: list[Prediction], target: Any
) -> int | None:
    if target is not None and not predictions:
        raise UsageError(
            f"there is no class {target!r}: the model gives no classes",
            where="target",
            remedy="leave target out",
        )
    if target is not None:
        if isinstance(target, bool) or not isinstance(target, int | str):
            raise UsageError(f"target={target!r} is neither the number nor the name of a class")
        return names.index(target)
    if predictions:
        return predictions[0].index
    return 0 if found is not None else None


def _find(predictions: list[Prediction], index: int | None) -> Prediction | None:
    return next((each for each in predictions if each.index == index), None)


def _untrained(model: nn.Module) -> list[str]:
    record = record_of(model)
    if record is None:
        return []
    if not record.weights:
        return ["random weights: nothing of the model is trained"] if record.name else []
    return [f"untrained: {', '.join(record.untrained)}"] if record.untrained else []


def _name(model: nn.Module) -> str:
    record = record_of(model)
    return record.name if record is not None and record.name else type(model).__name__


def _by_site(maps: list[Map]) -> dict[str, Map]:
    """Maps by their site; by site and kind where a site has several."""
    found: dict[str, Map] = {}
    for each in maps:
        key = each.site if each.site not in found else f"{each.site} ({each.meaning.title})"
        found[key] = each
    return found


def _listed(names: str | Sequence[str] | None) -> list[str] | None:
    return [names] if isinstance(names, str) else None if names is None else list(names)


def _check_input(image: Any, size: Any, settings: Mapping[str, Any]) -> None:
    """Refuse what would change a photograph, of a tensor that is taken as it is."""
    lost = [*(["size"] if size is not None else []), *sorted(settings.keys() - ALSO_FOR_TENSORS)]
    if _is_input(image) and lost:
        raise UsageError(
            f"{lost[0]}= says nothing of a tensor, which is the model's input as it is",
            where="image",
            remedy="a file, a PIL image or uint8 (H, W, 3), which is resized and cropped",
        )


def _is_input(image: Any) -> bool:
    return isinstance(image, Tensor)


def _devices(model: nn.Module) -> list[int]:
    found = {p.device for p in model.parameters() if p.device.type == "cuda"}
    return sorted(device.index or 0 for device in found)
