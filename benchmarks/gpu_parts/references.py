"""Reference cases on the device: float32, `torch.compile`, and bfloat16 against float32."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gpu_parts.session import Session
from zoo.build.attention import build_attention
from zoo.reference import verify
from zoo.reference.cases import Case, read_case
from zoo.reference.compare import OUTPUT_TOLERANCE, Comparison
from zoo.reference.mechanism import call_reference
from zoo.registry import default_registry, names
from zoo.weights.keymaps import carry_over, map_keys

BFLOAT16_BOUND = 2**-4  # of the largest number of an output (or of 1): 16 units of its precision
DRY_CASES = 3


def files(session: Session) -> list[Path]:
    found = sorted(session.cases.glob("*.safetensors"))
    return found[:DRY_CASES] if session.dry else found


def float32(session: Session) -> None:
    """`zoo verify` of every case, then of whole models; TF32 is off."""
    models = [] if session.dry else sorted(session.cases.glob("models.json"))
    for path in session.each([*files(session), *models], lambda path: path.name):
        for result in verify([path], device=str(session.device)):
            session.add(
                case=result.file, status=result.status, reason=result.reason,
                output_error=result.max_abs_error, gradient_error=result.max_grad_error,
            )  # fmt: skip
            if session.over:
                break


def bfloat16(session: Session) -> None:
    """Outputs under autocast against those of float32, within `BFLOAT16_BOUND`."""
    for path in session.each(files(session), lambda path: path.name):
        session.attempt(partial(_bfloat16, session, path), case=path.stem)


def compiled(session: Session) -> None:
    """Outputs of the compiled module against the recorded ones; one case a mechanism first."""
    for path in session.each(_firsts(files(session)), lambda path: path.name):
        session.attempt(partial(_compiled, session, path), case=path.stem)


def _firsts(paths: list[Path]) -> list[Path]:
    """The paths, those in front that are the first of their mechanism."""
    seen: dict[str, Path] = {}
    for path in paths:
        seen.setdefault(path.name.split(".")[0], path)
    return [*seen.values(), *(path for path in paths if path not in seen.values())]


def _built(case: Case, device: torch.device) -> nn.Module:
    registry = default_registry()
    spec = names.attention(case.mechanism, registry)
    module = build_attention(spec, registry, None, case.config)
    state = map_keys(spec.provenance.key_map, case.state, module, registry.owner(spec))
    carry_over(state, module)
    return module.to(device).train(case.training)


def _outputs(module: nn.Module, case: Case, device: torch.device) -> dict[str, Any]:
    """The outputs by the names of the case; random numbers are the same in every call."""
    registry = default_registry()
    spec = names.attention(case.mechanism, registry)
    inputs = tuple(x.to(device) for x in case.inputs.values())
    torch.manual_seed(0)
    with torch.no_grad():
        found = call_reference(spec, registry, module, inputs)
    if isinstance(found, dict):
        return {name: found[name] for name in case.outputs}
    given = found if isinstance(found, tuple | list) else (found,)
    return dict(zip(case.outputs, given, strict=False))


def _compiled(session: Session, path: Path) -> dict[str, Any]:
    case = read_case(path)
    module = _built(case, session.device)
    torch.compiler.reset()
    module.compile(backend=session.backend)
    found, difference = _outputs(module, case, session.device), Comparison()
    for name, theirs in case.outputs.items():
        difference.add(f"output {name}", found[name], theirs, OUTPUT_TOLERANCE)
    return _row(difference)


def _bfloat16(session: Session, path: Path) -> dict[str, Any]:
    case, difference = read_case(path), Comparison()
    plain = _outputs(_built(case, session.device), case, session.device)
    with torch.autocast(session.device.type, torch.bfloat16):
        narrow = _outputs(_built(case, session.device), case, session.device)
    for name, theirs in plain.items():
        difference.add(f"output {name}", narrow[name], theirs.cpu(), BFLOAT16_BOUND)
    return {**_row(difference), "bound": BFLOAT16_BOUND}


def _row(difference: Comparison) -> dict[str, Any]:
    status = "failed" if difference.reason else "passed"
    return {"status": status, "error_of_output": difference.largest, "reason": difference.reason}
