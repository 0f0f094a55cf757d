"""A model of any kind as it is explained: how it is called, and that it is left as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from torch import Tensor, nn

from zoo.data.preprocessing import Preprocessing
from zoo.errors import IncompatibleBackboneError, OptionError, UsageError
from zoo.hosts.check import check_host
from zoo.hosts.reading.survey import known_example

INSIDE = ("_orig_mod", "module")  # where torch.compile and data parallel wrappers keep the model


def unwrapped(model: Any) -> nn.Module:
    """The model inside what `torch.compile` or a data parallel wrapper gave.

    Raises:
        UsageError: it is no module. IncompatibleBackboneError: it is compiled in place, or sharded.
    """
    while type(model).__name__ in ("OptimizedModule", "DataParallel", "DistributedDataParallel"):
        model = next(getattr(model, name) for name in INSIDE if hasattr(model, name))
    try:
        check_host(model)
    except IncompatibleBackboneError as error:
        what = error.what.partition(": ")[0]
        remedy = "the model before it was compiled or sharded, or run once if it is lazy"
        raise IncompatibleBackboneError(what, where="model", remedy=remedy) from error
    except UsageError as error:
        raise UsageError(error.what, remedy="zoo.explain(zoo.create_model(NAME), IMAGE)") from error
    return model


@contextmanager
def as_it_was(model: nn.Module) -> Iterator[None]:
    """Evaluation mode within; afterwards each module is in the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training


def arguments(model: nn.Module, x: Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """How the model is called with images (1, C, H, W): a tensor, a list of images, or keywords."""
    example = _example(model)
    if isinstance(example, list):
        return ([x[0]],), {}
    return ((), {key: x for key in example}) if isinstance(example, dict) else ((x,), {})


def settings_of(
    model: nn.Module, size: int | tuple[int, int] | None, **settings: Any
) -> tuple[Preprocessing, str]:
    """The model's preprocessing, and a remark where it states none and one is assumed.

    Args:
        size: rows and columns of the input, instead of the model's own.

    Raises:
        OptionError: there is no such setting, or it cannot be.
    """
    _check(size, settings)
    stated = bool(getattr(model, "pretrained_cfg", None))
    example = None if stated else _example(model)
    assumed = {} if stated else _assumed(model, example)
    found = Preprocessing.of(model, **{**assumed, **settings})
    if size is not None:
        sides = (size, size) if isinstance(size, int) else tuple(size)
        shape = (found.input_size[0], *sides)
        found = Preprocessing.of(model, **{**assumed, **settings, "input_size": shape})
    if stated or isinstance(example, list):
        return found, ""
    height, width = found.input_size[1:]
    return found, (
        f"the model states no preprocessing: {height} x {width} pixels, with mean "
        f"{_numbers(found.mean)} and deviation {_numbers(found.std)}, are assumed"
    )


def _check(size: Any, settings: Mapping[str, Any]) -> None:
    known = [field.name for field in fields(Preprocessing)]
    for name in settings.keys() - set(known):
        raise OptionError(f"there is no setting {name!r}", remedy=f"one of {', '.join(known)}")
    sides = [size, size] if isinstance(size, int) else size
    if size is not None and not (
        isinstance(sides, tuple | list)
        and len(sides) == 2
        and all(type(side) is int and side > 0 for side in sides)
    ):
        raise OptionError(f"size={size!r} is neither a number of pixels nor (rows, columns)")


def tensor_for(model: nn.Module, x: Tensor) -> Tensor:
    """The input with the type and on the device of the model's parameters."""
    first = next((p for p in model.parameters() if p.is_floating_point()), None)
    return x if first is None else x.to(device=first.device, dtype=first.dtype)


def _example(model: nn.Module) -> Any:
    try:
        return known_example(model)
    except UsageError:
        return None


def _assumed(model: nn.Module, example: Any) -> dict[str, Any]:
    if isinstance(example, list):  # a detector, which normalises what is given to it, of any size
        side = example[0].shape[-1]
        return {
            "input_size": (3, side, side), "mean": (0.0,), "std": (1.0,), "crop_pct": 1.0,
            "crop_mode": "border",
        }  # fmt: skip
    first = next(iter(example.values())) if isinstance(example, dict) else example
    if isinstance(first, Tensor):
        return {"input_size": tuple(first.shape[1:])}
    convolution = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    return {"input_size": (convolution.in_channels if convolution else 3, 224, 224)}


def _numbers(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{v:g}" for v in values) + ")"
