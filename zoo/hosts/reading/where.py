"""The layout of a module's output, found from what ran, or as the user says."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import NamedTuple

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from zoo.errors import IncompatibleBackboneError, UsageError
from zoo.hosts.reading.layouts import KINDS, Kind, Layout
from zoo.hosts.reading.outputs import Found
from zoo.hosts.reading.survey import Survey

SPECIAL_TOKENS = (
    "cls_token", "class_token", "dist_token", "distillation_token", "reg_token", "register_tokens",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the user says of the outputs: all three may be left open."""

    layout: Kind | None = None
    prefix_tokens: int | None = None
    grid: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.layout is not None and self.layout not in KINDS:
            raise UsageError(f"layout={self.layout!r} is none of {', '.join(map(repr, KINDS))}")
        prefix = self.prefix_tokens
        if prefix is not None and (type(prefix) is not int or prefix < 0):
            raise UsageError(f"prefix_tokens={prefix!r} is no number of tokens")
        grid = self.grid
        if grid is not None and (
            not isinstance(grid, tuple | list)
            or len(grid) != 2
            or not all(type(n) is int and n > 0 for n in grid)
        ):
            raise UsageError(f"grid={grid!r} is not (rows, columns) of tokens")


class _Seen(NamedTuple):
    """A call of the module at `path` that gives something: its number among these, from 0."""

    survey: Survey
    path: str
    number: int


def layout_of(
    survey: Survey, path: str, told: Told, *, on_map: bool = True
) -> tuple[Found, Layout]:
    """The tensor in the output of the module at `path`, and its layout.

    Args:
        on_map: whether tokens must have a grid.

    Raises:
        IncompatibleBackboneError: the module gives no map and no tokens, or its calls differ.
        UsageError: the layout is ambiguous, with the argument that settles it.
    """
    calls = survey.outputs(path)
    if not calls:
        raise _refuse(path, survey.why_not(path), "zoo.list_sites(model, example)")
    layouts = [_one(_Seen(survey, path, n), found, told, on_map) for n, found in enumerate(calls)]
    first, layout = calls[0], layouts[0]
    for found, other in zip(calls, layouts, strict=True):
        same = other.kind == layout.kind and found.way == first.way
        if not same or other.channels(found.shape) != layout.channels(first.shape):
            raise _refuse(
                path,
                f"is called {len(calls)} times and gives {first.shape} and {found.shape}: one "
                "attention does not fit both",
                "name modules that are called once",
            )
    return first, layout


def _one(seen: _Seen, found: Found, told: Told, on_map: bool) -> Layout:
    path = seen.path
    if not found.dtype.is_floating_point or len(found.shape) not in (3, 4):
        what = "video or volumes" if len(found.shape) == 5 else "no map and no tokens"
        raise _refuse(
            path,
            f"gives a tensor {found.shape} of {found.dtype}: {what}",
            "a module that gives (B, C, H, W), (B, H, W, C) or (B, N, C)",
        )
    if 0 in found.shape:
        raise _refuse(path, f"gives an empty tensor {found.shape}", "a larger example")
    if len(found.shape) == 3:
        return _tokens(seen, found, told, on_map)
    if told.layout == "tokens":
        raise UsageError(f"{path} gives a map {found.shape}, no tokens", where="layout='tokens'")
    return Layout(kind=told.layout or _map(seen, found.shape))


def _map(seen: _Seen, shape: tuple[int, ...]) -> Kind:
    """Which axis of four has the channels: the one that does not grow with the image.

    Two clues that agree save the pass with a larger image; where there is none, they must not
    contradict each other. A block that concatenates or shuffles has other channels than its layers.
    """
    by_layer, by_square = _as_the_last_layer(seen, shape), _as_a_square(seen.survey, shape)
    agreed = by_layer if by_layer == by_square else None
    found = agreed or _grown(seen, shape)
    if found is None and not (by_layer and by_square):
        found = by_layer or by_square or _as_made(seen, shape)
    if found is not None:
        return found
    raise UsageError(
        f"whether {seen.path} gives (B, C, H, W) or (B, H, W, C) cannot be told from {shape}",
        where="at",
        remedy="layout='nchw' or layout='nhwc', or an example of another size",
    )


def _as_the_last_layer(seen: _Seen, shape: tuple[int, ...]) -> Kind | None:
    """The axis that has as many channels as the last layer gives, if it is one of two."""
    channels, _ = _last_channels(seen)
    fits = (shape[1] == channels, shape[3] == channels)
    return {(True, False): "nchw", (False, True): "nhwc"}.get(fits)  # type: ignore[return-value]


def _as_made(seen: _Seen, shape: tuple[int, ...]) -> Kind | None:
    """(B, C, H, W) where both axes have the channels of a last layer that gives such maps."""
    same = shape[1] == shape[3] and _last_channels(seen) == (shape[1], "nchw")
    return "nchw" if same else None


def _as_a_square(survey: Survey, shape: tuple[int, ...]) -> Kind | None:
    """The axis besides the two equal ones, which are the rows and columns of a square image."""
    image = survey.example.image
    if image is not None and image[-1] != image[-2]:
        return None
    fits = (shape[2] == shape[3] != shape[1], shape[1] == shape[2] != shape[3])
    return {(True, False): "nchw", (False, True): "nhwc"}.get(fits)  # type: ignore[return-value]


def _grown(seen: _Seen, shape: tuple[int, ...]) -> Kind | None:
    """The axes that grow with the image are the rows and columns."""
    larger = seen.survey.outputs(seen.path, seen.survey.larger)[seen.number :]
    if not larger or len(larger[0].shape) != 4:
        return None
    grown = [axis for axis in (1, 2, 3) if larger[0].shape[axis] > shape[axis]]
    return {(2, 3): "nchw", (1, 2): "nhwc"}.get(tuple(grown))  # type: ignore[return-value]


def _last_channels(seen: _Seen) -> tuple[int | None, str]:
    """The number of channels of the last layer that ran up to the end of the module's call."""
    calls = seen.survey.run.calls
    ends = [i for i, call in enumerate(calls) if call.path == seen.path and call.seen is not None]
    for call in reversed(calls[: ends[seen.number] + 1]):
        channels, kind = _channels(seen.survey.modules[call.path])
        if channels is not None:
            return channels, kind
    return None, ""


def _channels(module: nn.Module) -> tuple[int | None, str]:
    if isinstance(module, _ConvNd):
        return module.out_channels, "nchw"
    if isinstance(module, _BatchNorm | nn.InstanceNorm2d):
        return module.num_features, "nchw"
    if isinstance(module, nn.GroupNorm):
        return module.num_channels, "nchw"
    if isinstance(module, nn.Linear):
        return module.out_features, "last"
    if isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1:
        return module.normalized_shape[0], "last"
    return None, ""


def _tokens(seen: _Seen, found: Found, told: Told, on_map: bool) -> Layout:
    survey, path = seen.survey, seen.path
    if told.layout not in (None, "tokens"):
        raise UsageError(f"{path} gives {found.shape}, no map", where=f"layout={told.layout!r}")
    rows, tokens, channels = found.shape
    if survey.batch is not None and rows != survey.batch:
        raise _refuse(
            path,
            f"gives {found.shape}, whose first axis is not the batch of {survey.batch}: windows, "
            "or tokens in front",
            "the module around it, which puts them together",
        )
    known, kind = _last_channels(seen)
    if told.layout is None and known == tokens != channels and kind == "nchw":
        raise _refuse(
            path, f"gives a sequence (B, C, L) {found.shape}: no map and no tokens",
            "a module that gives (B, C, H, W), (B, H, W, C) or (B, N, C)",
        )  # fmt: skip
    if told.layout is None and survey.example.image is None and (rows, "nchw") == (known, kind):
        raise _refuse(
            path, f"gives a single map (C, H, W) {found.shape}, without a batch",
            "example=images[None], a batch of one",
        )  # fmt: skip
    found_grid = _grid(survey, tokens, told)
    if found_grid is not None:
        return Layout(kind="tokens", prefix=found_grid[0], grid=found_grid[1])
    if on_map:
        raise UsageError(
            f"which of the {tokens} tokens of {path} form a grid is not known",
            where="at",
            remedy="prefix_tokens= (class token, registers, ...), and grid=(rows, columns)",
        )
    return Layout(kind="tokens", prefix=told.prefix_tokens or 0)


def _grid(survey: Survey, tokens: int, told: Told) -> tuple[int, tuple[int, int]] | None:
    """The number of tokens before the patches, and the grid of these."""
    if told.grid is not None:
        prefix = tokens - told.grid[0] * told.grid[1]
        if prefix < 0 or told.prefix_tokens not in (None, prefix):
            raise UsageError(
                f"{told.prefix_tokens or 0} tokens and a grid of {told.grid} are not {tokens}",
                where="grid",
            )
        return prefix, (told.grid[0], told.grid[1])
    guesses = (0, 1, _special_tokens(survey))
    for prefix in guesses if told.prefix_tokens is None else (told.prefix_tokens,):
        grid = _of_the_image(survey, tokens - prefix)
        if grid is not None:
            return prefix, grid
    return None


def _special_tokens(survey: Survey) -> int:
    """How many tokens the host has that it learns: parameters (1, n, C) of the usual names."""
    parameters = survey.model.named_parameters()
    return sum(
        p.shape[1] for name, p in parameters if p.ndim == 3 and name.endswith(SPECIAL_TOKENS)
    )


def _of_the_image(survey: Survey, patches: int) -> tuple[int, int] | None:
    """The grid of that many square patches of the image; a square where there is no image."""
    if patches < 1:
        return None
    shape = survey.example.image
    if shape is not None:
        height, width = shape[-2:]
        side = isqrt(height * width // patches)
        if side and (height // side) * (width // side) == patches:
            return height // side, width // side
    root = isqrt(patches)
    square = shape is None or shape[-1] == shape[-2]
    return (root, root) if square and root * root == patches else None


def _refuse(path: str, what: str, remedy: str) -> IncompatibleBackboneError:
    name = path or "the model"
    return IncompatibleBackboneError(f"{name} {what}", where="at", remedy=remedy)
