"""One pass of a model over an image, with all that is looked at meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from zoo.errors import UsageError, ZooError
from zoo.explain.maps import rows, sites
from zoo.explain.maps.sites import Gain, Inserted
from zoo.hosts.reading import outputs
from zoo.hosts.reading.survey import Survey
from zoo.hosts.reading.where import Told, layout_of
from zoo.insertion.probe import Call, Pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a pass gave.

    Attributes:
        output: of the model. size: (h, w) of the input.
        survey: the calls of the pass, as the passes on fake tensors note them.
        gains: of the attentions in the model, by path.
        caught: its softmax attentions.
    """

    output: Any
    size: tuple[int, int]
    survey: Survey
    gains: Mapping[str, Gain]
    caught: rows.Caught

    @property
    def remarks(self) -> list[str]:
        """What was seen and is not drawn."""
        windows = self.caught.windows
        if not windows:
            return []
        return [
            f"{len(windows)} softmax attentions within windows ({windows[0]}, ...) have no row for "
            "the whole image"
        ]


def watched(
    model: nn.Module, run: Callable[[Tensor], Any], x: Tensor, inserted: Sequence[Inserted]
) -> Watched:
    """Run the model once, without gradients.

    Raises:
        UsageError: the model fails on the image.
    """
    survey, calls = Survey(model, (x,)), list[Call]()
    hooks = [
        module.register_forward_hook(_noting(path, calls)) for path, module in model.named_modules()
    ]
    try:
        with sites.watched(inserted) as gains, rows.caught(model) as caught:
            output = _run(run, x)
    finally:
        for hook in hooks:
            hook.remove()
    survey.run = Pass(calls, None)
    size = (x.shape[2], x.shape[3])
    found = {path: gain(_channels(survey, path)) for path, gain in gains.by_axis.items()}
    gained = {**gains.known, **found}
    return Watched(output=output, size=size, survey=survey, gains=gained, caught=caught)


def _run(run: Callable[[Tensor], Any], x: Tensor) -> Any:
    try:
        return run(x)
    except ZooError:
        raise
    except Exception as error:  # the model may be anyone's
        raise UsageError(
            f"the model fails on an image {tuple(x.shape[1:])}: {type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}",
            where="image",
            remedy="size=(ROWS, COLUMNS) that the model takes, or its input as a float tensor",
        ) from error


def _channels(survey: Survey, path: str) -> int:
    """Which axis of the map at a path has the channels; where that cannot be told, the first."""
    try:
        return 3 if layout_of(survey, path, Told())[1].kind == "nhwc" else 1
    except ZooError:
        return 1


def _noting(path: str, calls: list[Call]) -> Callable[..., None]:
    def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
        calls.append(Call(path, None, None, isinstance(output, Tensor), outputs.find(output)))

    return note
