"""Random inputs of a model, at several sizes, and which of their dimensions are free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.utils._pytree import tree_leaves, tree_map

from zoo.errors import UsageError
from zoo.hosts.reading.survey import Example, known_example, read_example

LARGER = (64, 32)  # pixels by which the second size is higher and wider: no square, no power of 2
BATCHES = (2, 3, 1)
FREE = {0: "batch", 2: "height", 3: "width"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Free:
    """Which dimensions may have any size: that of the batch, and the two of images."""

    batch: bool = True
    size: bool = False

    def axes(self, tensor: Tensor, batch: int) -> dict[int, str]:
        """The names of the tensor's free dimensions, by their index."""
        is_batched = tensor.ndim > 0 and tensor.shape[0] == batch
        free = (0,) if self.batch and is_batched else ()
        return {axis: FREE[axis] for axis in (*free, *((2, 3) if self.sized(tensor) else ()))}

    def sized(self, tensor: Tensor) -> bool:
        """Whether the size of this tensor, an image (B, C, H, W), is free."""
        return self.size and tensor.is_floating_point() and tensor.ndim == 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Inputs on which a model and what was made of it are compared; the first one is exported.

    Attributes:
        names: of the tensors in an input, in order.
    """

    inputs: tuple[Example, ...]
    free: Free
    names: tuple[str, ...]

    @property
    def first(self) -> Example:
        return self.inputs[0]

    def dynamic_shapes(self) -> tuple[Any, ...] | None:
        """The free dimensions as `torch.export` wants them; None if there are none.

        Least and largest sizes of images follow from the model; a batch may be 1.
        """
        dims: dict[int, Any] = {0: Dim("batch", min=1), 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
        return self._shapes(dims)

    def axis_names(self) -> tuple[Any, ...] | None:
        """The same with names, for ONNX."""
        return self._shapes(FREE)

    def _shapes(self, dims: Any) -> tuple[Any, ...] | None:
        if not (self.free.batch or self.free.size):
            return None
        batch = batch_of(self.first)

        def of(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return None
            return {axis: dims[axis] for axis in self.free.axes(value, batch)}

        return tree_map(of, (*self.first.args, *self.first.keywords.values()))


def tensors(example: Example) -> list[Tensor]:
    """The tensors in an input, in order."""
    leaves = tree_leaves((example.args, dict(example.keywords)))
    return [leaf for leaf in leaves if isinstance(leaf, Tensor)]


def batch_of(example: Example) -> int:
    """How many images, or whatever comes first, the input has."""
    return next((t.shape[0] for t in tensors(example) if t.ndim), 1)


def trials(model: nn.Module, example: Any, *, batch_size: int | None, dynamic_size: bool) -> Trials:
    """Inputs of three batches, or two of the batch that is asked for; the second one is larger
    where the size is free.

    Raises:
        UsageError: there is no tensor in the example, or its batch cannot be told; or the size is
            to be free and the model is built for one.
    """
    given = read_example(_example_of(model) if example is None else example)
    if not tensors(given):
        raise UsageError("there is no tensor in the example", where="example")
    if dynamic_size:
        _check_any_size(model, given)
    free = Free(batch=batch_size is None, size=dynamic_size)
    batches = BATCHES if batch_size is None else (batch_size, batch_size)
    draw = Draw(example=given, dtype=dtype_of(model), generator=torch.Generator().manual_seed(0))
    inputs = [
        draw(batch, LARGER if dynamic_size and i == 1 else (0, 0))
        for i, batch in enumerate(batches)
    ]
    return Trials(inputs=tuple(inputs), free=free, names=_names(given))


def _example_of(model: nn.Module) -> Any:
    """One image as the model's settings state it, else what its family takes."""
    config = getattr(model, "pretrained_cfg", None) or {}
    if not config.get("input_size"):
        return known_example(model)
    channels, *size = config["input_size"]
    return torch.empty(1, getattr(model, "in_chans", channels), *size)


def _check_any_size(model: nn.Module, example: Example) -> None:
    config = getattr(model, "pretrained_cfg", None) or {}
    if config.get("fixed_input_size"):
        height, width = config["input_size"][1:]
        raise UsageError(
            f"the model is built for images of {height} x {width}, so their size cannot be free",
            where="dynamic_size",
            remedy="leave dynamic_size out (zoo export: --dynamic-size)",
        )
    if not any(t.is_floating_point() and t.ndim == 4 for t in tensors(example)):
        raise UsageError(
            "there is no image (B, C, H, W) in the example, whose size could be free",
            where="dynamic_size",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Random inputs like an example: normal numbers of the model's type, in its shapes.

    What is no floating-point tensor (token numbers, masks) is repeated, since its values mean
    something.
    """

    example: Example
    dtype: torch.dtype
    generator: torch.Generator

    def __call__(self, batch: int, larger: Sequence[int] = (0, 0)) -> Example:
        """An input with so many images, which are higher and wider by so many pixels."""
        old = batch_of(self.example)

        def draw(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            shape = list(value.shape)
            batched = bool(shape) and shape[0] == old
            shape[:1] = [batch] if batched else shape[:1]
            if not value.is_floating_point():
                rows = torch.arange(batch) % old
                return value.cpu()[rows] if batched else value.cpu()
            if value.ndim == 4:
                shape[2:] = [side + more for side, more in zip(shape[2:], larger, strict=True)]
            return torch.randn(shape, generator=self.generator).to(self.dtype)

        args, keywords = tree_map(draw, (self.example.args, dict(self.example.keywords)))
        return Example(args=args, keywords=keywords)


def dtype_of(model: nn.Module) -> torch.dtype:
    """The type of the model's numbers."""
    tensors = (*model.parameters(), *model.buffers())
    return next((t.dtype for t in tensors if t.is_floating_point()), torch.float32)


def _names(example: Example) -> tuple[str, ...]:
    """`image` of a single one, the keywords of an example that has some, else numbers."""
    if example.keywords:
        return tuple(name for row in example.keywords.items() for name in _within(*row))
    if len(tensors(example)) == 1:
        return ("image" if tensors(example)[0].ndim == 4 else "input",)
    return tuple(f"input_{i}" for i in range(len(tensors(example))))


def _within(key: str, value: Any) -> list[str]:
    """The names of the tensors in a keyword: none of a flag, numbers where it holds several."""
    count = sum(isinstance(leaf, Tensor) for leaf in tree_leaves(value))
    return [key] if count == 1 else [f"{key}_{i}" for i in range(count)]
