"""Reading a reference case. Whatever is wrong with the file is one `ReferenceCaseError`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from zoo.errors import ReferenceCaseError

GROUPS = ("input", "state", "output", "cotangent", "grad")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case: its settings, and its tensors by name. `grads` may be empty."""

    mechanism: str
    config: Mapping[str, Any]
    training: bool
    inputs: Mapping[str, Tensor]
    state: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    cotangents: Mapping[str, Tensor]
    grads: Mapping[str, Tensor]


def read_case(path: Path) -> Case:
    """Read the file of a case.

    Raises:
        ReferenceCaseError: it is not safetensors, is no case, or its header and tensors disagree.
    """
    header, tensors = _open(path)
    groups: dict[str, dict[str, Tensor]] = {group: {} for group in GROUPS}
    for name, tensor in tensors.items():
        group, _, rest = name.partition(".")
        if group not in groups or not rest:
            raise ReferenceCaseError(f"tensor {name[:80]!r} is of no group {', '.join(GROUPS)}")
        groups[group][rest] = tensor
    case = Case(
        mechanism=header["mechanism"],
        config=_decode(header, "config", dict),
        training=header.get("mode") == "train",
        inputs=_ordered(groups["input"], _decode(header, "inputs", list), "input"),
        state=groups["state"],
        outputs=_ordered(groups["output"], _decode(header, "outputs", list), "output"),
        cotangents=groups["cotangent"],
        grads=groups["grad"],
    )
    _check(case)
    return case


def _open(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            header = dict(file.metadata() or {})
            if not header.get("mechanism"):
                raise ReferenceCaseError("no reference case: the header names no mechanism")
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ReferenceCaseError(f"the file cannot be read: {reason}") from error


def _decode(header: Mapping[str, str], key: str, kind: type) -> Any:
    try:
        value = json.loads(header[key])
    except (KeyError, ValueError, RecursionError) as error:
        raise ReferenceCaseError(f"the header's {key!r} is missing or is not JSON") from error
    if not isinstance(value, kind):
        raise ReferenceCaseError(f"the header's {key!r} is not a JSON {kind.__name__}")
    return value


def _ordered(found: Mapping[str, Tensor], names: list[Any], group: str) -> dict[str, Tensor]:
    missing = [name for name in names if not isinstance(name, str) or name not in found]
    if missing:
        raise ReferenceCaseError(f"the tensor {group}.{missing[0]} is missing")
    return {name: found[name] for name in names}


def _check(case: Case) -> None:
    if not case.outputs:
        raise ReferenceCaseError("the case records no output")
    for name, tensor in case.cotangents.items():
        if name not in case.outputs or tensor.shape != case.outputs[name].shape:
            raise ReferenceCaseError(f"cotangent.{name} belongs to no output of its shape")
    for name, tensor in case.grads.items():
        if name not in case.inputs or tensor.shape != case.inputs[name].shape:
            raise ReferenceCaseError(f"grad.{name} belongs to no input of its shape")
        if not case.inputs[name].is_floating_point():
            raise ReferenceCaseError(f"input.{name} is not a real number, but has a gradient")
    if case.grads and not case.cotangents:
        raise ReferenceCaseError("gradients without cotangents")
