"""Running one case of a mechanism."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo.build.attention import build_attention
from zoo.errors import ReferenceCaseError
from zoo.reference.cases import Case
from zoo.reference.compare import GRADIENT_TOLERANCE, OUTPUT_TOLERANCE, Comparison
from zoo.registry import Registry
from zoo.registry.specs import AttentionSpec, ModelSpec
from zoo.registry.targets import resolve
from zoo.weights.keymaps import carry_over, map_keys


def run_case(
    case: Case, spec: AttentionSpec, registry: Registry, device: str
) -> tuple[Comparison, Comparison]:
    """Build the module, carry the weights over, and compare outputs and gradients."""
    _check_size(case, spec, registry)
    module = build_attention(spec, registry, None, case.config)
    carry_over(map_keys(spec.provenance.key_map, case.state, module, registry.owner(spec)), module)
    module.to(device).train(case.training)
    inputs = {
        name: tensor.to(device).requires_grad_(name in case.grads)
        for name, tensor in case.inputs.items()
    }
    with torch.set_grad_enabled(bool(case.grads)):
        returned = call_reference(spec, registry, module, tuple(inputs.values()))
        found = _name_outputs(returned, case.outputs)
    outputs, gradients = Comparison(), Comparison()
    for name, theirs in case.outputs.items():
        outputs.add(f"output {name}", found[name], theirs, OUTPUT_TOLERANCE)
    if case.grads and not outputs.reason:
        ours = _gradients(case, inputs, found)
        for name, theirs in case.grads.items():
            gradients.add(f"gradient of {name}", ours[name], theirs, GRADIENT_TOLERANCE)
    return outputs, gradients


def _check_size(case: Case, spec: AttentionSpec, registry: Registry) -> None:
    """Refuse settings that ask for far more memory than the file's own weights."""
    try:
        with torch.device("meta"):
            ghost = build_attention(spec, registry, None, case.config)
    except Exception:  # cannot be built without memory, or not at all: building it will tell
        return
    asked = sum(p.numel() for p in ghost.parameters())
    given = sum(t.numel() for t in case.state.values())
    if asked > 2**20 + 2 * given:
        raise ReferenceCaseError(f"the config asks for {asked} parameters, the file has {given}")


def call_reference(
    spec: AttentionSpec | ModelSpec | None,
    registry: Registry,
    module: nn.Module,
    inputs: tuple[Tensor, ...],
) -> Any:
    """The outputs of the module, by the spec's `reference_call` if it states one."""
    if spec is not None and spec.provenance.reference_call:
        return resolve(spec.provenance.reference_call, registry.owner(spec))(module, *inputs)
    return module(*inputs)


def _name_outputs(returned: Any, recorded: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Outputs by the case's names: from a mapping, or in the order of the case."""
    if not isinstance(returned, Mapping):
        given = returned if isinstance(returned, tuple | list) else (returned,)
        returned = dict(zip(recorded, given, strict=False))
    for name in recorded:
        if not isinstance(returned.get(name), Tensor):
            raise ReferenceCaseError(f"the module returned no output {name!r}")
    return {name: returned[name] for name in recorded}


def _gradients(
    case: Case, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    terms = [
        (outputs[name] * cotangent.to(outputs[name].device)).sum()
        for name, cotangent in case.cotangents.items()
    ]
    total = torch.stack(terms).sum()
    if not total.requires_grad:
        return {name: torch.zeros_like(inputs[name]) for name in case.grads}
    wanted = [inputs[name] for name in case.grads]
    found = torch.autograd.grad(total, wanted, allow_unused=True, materialize_grads=True)
    return dict(zip(case.grads, found, strict=True))
