"""How far what an exported model computes is from what the model computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import ExportError
from zoo.export.inputs import Trials, tensors
from zoo.export.programs import Run, quiet, reason_of
from zoo.hosts.reading.survey import Example

# of the largest number of an output; what is no floating-point number must be equal
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The largest difference on one input.

    Attributes:
        shapes: of the tensors of the input.
        absolute: the largest |y - y'| of all outputs.
        relative: the largest of the same divided by max |y| of the output.
    """

    shapes: list[list[int]]
    absolute: float
    relative: float


def expected_of(model: Run, trials: Trials) -> list[list[Tensor]]:
    """What the model computes on each input.

    Raises:
        ExportError: it cannot be compared with: it fails, is not finite, or draws random numbers.
    """
    found = [_run(model, each, "the model itself fails") for each in trials.inputs]
    again = _run(model, trials.first, "the model itself fails")
    if not found[0]:
        raise ExportError("the model gives no tensor")
    for tensor in (each for outputs in found for each in outputs):
        if not bool(tensor.isfinite().all()):
            raise ExportError(
                "the model's own output on random inputs is not finite, so nothing can be compared",
                remedy="check its weights",
            )
    if not all(map(torch.equal, found[0], again)):
        raise ExportError(
            "the model draws random numbers in evaluation: two calls differ, and so would the file"
        )
    return found


def differences(
    program: Run, trials: Trials, expected: Sequence[Sequence[Tensor]]
) -> list[Difference]:
    """The differences on each input, none of which is larger than the tolerance.

    Raises:
        ExportError: the program fails on an input, or computes something else.
    """
    return [
        _compared(_run(program, given, "it fails"), wanted, given)
        for given, wanted in zip(trials.inputs, expected, strict=True)
    ]


def _run(program: Run, given: Example, what: str) -> list[Tensor]:
    try:
        with quiet():
            return program(given)
    except Exception as error:  # anyone's code
        raise ExportError(f"{what} on {_sizes(given)}: {reason_of(error)}") from error


def _compared(found: Sequence[Tensor], wanted: Sequence[Tensor], given: Example) -> Difference:
    if [t.shape for t in found] != [t.shape for t in wanted]:
        shapes = [tuple(t.shape) for t in found], [tuple(t.shape) for t in wanted]
        raise ExportError(f"on {_sizes(given)} it gives {shapes[0]}, and the model {shapes[1]}")
    absolute = relative = 0.0
    for ours, theirs in zip(found, wanted, strict=True):
        gap, share = _gap(ours, theirs)
        if not share <= TOLERANCE.get(theirs.dtype, 0.0):
            raise ExportError(
                f"on {_sizes(given)} it computes something else: the largest difference is "
                f"{gap:.3g}, {share:.3g} of the largest number"
            )
        absolute, relative = max(absolute, gap), max(relative, share)
    shapes = [list(t.shape) for t in tensors(given)]
    return Difference(shapes=shapes, absolute=absolute, relative=relative)


def _gap(ours: Tensor, theirs: Tensor) -> tuple[float, float]:
    if not theirs.numel():
        return 0.0, 0.0
    gap = float((ours.double() - theirs.double()).abs().max())
    return gap, gap / (float(theirs.double().abs().max()) or 1.0)


def _sizes(given: Example) -> str:
    return ", ".join("x".join(map(str, t.shape)) for t in tensors(given))
