"""What a host does with an example, on fake tensors: the calls, and what each gives.

Nothing is computed and nothing of the host changes. Values may decide what a host runs (a detector
keeps the boxes with the best scores): the pass ends there, and what ran before is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from zoo.errors import IncompatibleBackboneError, UsageError
from zoo.hosts.reading import outputs
from zoo.hosts.reading.outputs import Found
from zoo.insertion.probe import Call, Pass, watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One input of a host: what it is called with."""

    args: tuple[Any, ...] = ()
    keywords: Mapping[str, Any]

    @property
    def as_given(self) -> Any:
        """What `read_example` makes this of."""
        return self.args if not self.keywords else dict(self.keywords)

    @property
    def image(self) -> tuple[int, ...] | None:
        """The shape of the first images (B, C, H, W), or of one (C, H, W) in a list of images.

        An argument of three axes is none: it is tokens (B, N, C), or a sequence.
        """
        for given in (*self.args, *self.keywords.values()):
            axes = (4,) if isinstance(given, Tensor) else (3, 4)
            found = (t for t in tree_leaves(given) if isinstance(t, Tensor))
            shapes = [tuple(t.shape) for t in found if t.is_floating_point() and t.ndim in axes]
            if shapes:
                return shapes[0]
        return None

    def like(self, model: nn.Module) -> Example:
        """The example with the type and device of the model's parameters, and without its data."""
        tensors = (*model.parameters(), *model.buffers())
        first = next((t for t in tensors if t.is_floating_point()), None)
        if first is None:
            return self

        def moved(t: Tensor) -> Tensor:
            dtype = first.dtype if t.is_floating_point() else t.dtype
            if (t.dtype, t.device) == (dtype, first.device):
                return t
            return torch.empty(t.shape, dtype=dtype, device=first.device)

        return self._mapped(moved)

    def larger(self) -> Example:
        """The example with images of twice the height and width."""
        return self._mapped(
            lambda t: (
                t.new_empty((*t.shape[:-2], 2 * t.shape[-2], 2 * t.shape[-1]))
                if t.is_floating_point() and t.ndim == 4
                else t
            )
        )

    def _mapped(self, change: Any) -> Example:
        args, keywords = tree_map_only(Tensor, change, (self.args, dict(self.keywords)))
        return Example(args=args, keywords=keywords)


def read_example(example: Any) -> Example:
    """A tuple is positional arguments, a dict is keywords, anything else is the one argument."""
    if isinstance(example, tuple):
        return Example(args=example, keywords={})
    if isinstance(example, Mapping):
        return Example(keywords={str(key): value for key, value in example.items()})
    return Example(args=(example,), keywords={})


def known_example(model: nn.Module) -> Any:
    """An input for hosts of timm, torchvision and transformers, which say what they take.

    Raises:
        UsageError: the host is of none of these.
    """
    cls = next((c.__module__ for c in type(model).__mro__ if c.__module__.startswith(_KNOWN)), "")
    if cls.startswith("timm."):
        size = (getattr(model, "pretrained_cfg", None) or {}).get("input_size", (3, 224, 224))
        return torch.empty(1, getattr(model, "in_chans", size[0]), *size[1:])
    if cls.startswith("torchvision.models.detection"):
        return [torch.empty(3, 320, 320)]
    if cls.startswith("torchvision.models."):
        size = getattr(model, "image_size", 224)
        return torch.empty(1, 3, size, size)
    config = getattr(model, "config", None)
    if cls and getattr(model, "main_input_name", "") == "pixel_values" and config is not None:
        size = getattr(config, "image_size", 224)
        height, width = size if isinstance(size, list | tuple) else (size, size)
        return {"pixel_values": torch.empty(1, getattr(config, "num_channels", 3), height, width)}
    raise UsageError(
        f"what {type(model).__name__} takes is not known",
        where="example",
        remedy="example=x, one input as the model is called with: a tensor, a tuple or a dict",
    )


_KNOWN = ("timm.", "torchvision.models.", "transformers.")


class Survey:
    """The calls of a host for an example."""

    def __init__(self, model: nn.Module, example: Any) -> None:
        self.model = model
        self.example = read_example(example).like(model)
        self.modules = dict(model.named_modules())

    @cached_property
    def run(self) -> Pass:
        return self._watch(self.example)

    @cached_property
    def larger(self) -> Pass:
        """The same with images of twice the size; it may have ended at once."""
        return self._watch(self.example.larger())

    @property
    def batch(self) -> int | None:
        """B of the example, None where its images come one by one."""
        shape = self.example.image
        return shape[0] if shape is not None and len(shape) == 4 else None

    def outputs(self, path: str, run: Pass | None = None) -> list[Found]:
        """What each call of the module at `path` gave that can be attended to."""
        seen = (call.seen for call in (run or self.run).calls if call.path == path)
        return [found for found in seen if found is not None]

    def why_not(self, path: str) -> str:
        """Why nothing is known of a module: the pass ended before it, or it does not run."""
        if self.run.error is None:
            return "does not run for the example, or gives no tensor"
        return f"was not reached, since the run on fake tensors ended with: {_line(self.run.error)}"

    def check(self) -> None:
        """Some of the host has run.

        Raises:
            IncompatibleBackboneError: with what the host said.
        """
        if self.run.error is not None and not self.run.calls:
            raise IncompatibleBackboneError(
                f"{type(self.model).__name__} cannot be run on the example: "
                f"{_line(self.run.error)}",
                where="example",
                remedy="example=x, one input as the model is called with: a tensor, tuple or dict",
            ) from self.run.error

    def _watch(self, example: Example) -> Pass:
        try:
            return watch(self.model, example.args, example.keywords, note=outputs.find)
        except Exception as error:  # the host may be anyone's, and refuse to be copied
            return Pass([], error)


def shapes(run: Pass, without: Sequence[str]) -> list[tuple[str, Any]]:
    """Each call's path and shape, without the calls of modules at or under some paths."""

    def is_other(call: Call) -> bool:
        return not any(call.path == p or call.path.startswith(f"{p}.") for p in without)

    return [(c.path, c.seen.shape if c.seen else None) for c in run.calls if is_other(c)]


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}"
