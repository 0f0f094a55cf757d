"""Training the attention alone: which parameters it has, and a host that stands still."""

from __future__ import annotations

from typing import Any, cast

from torch import nn

from zoo.errors import UsageError
from zoo.hosts.swap import added
from zoo.insertion.attach import is_joined
from zoo.insertion.placed import placed
from zoo.runtime.model_record import record_of
from zoo.runtime.swapping import swap, unswap

FROZEN = "zoo_frozen"  # on the host: names of parameters that were trained before
IN_EVAL = "zoo_norms_in_eval"  # on the host: paths of norms


def attention_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of the attention that was added to a model, for an optimiser.

    Of models from `zoo.create_model` with an attention, too.

    Raises:
        UsageError: no attention was added.
    """
    if not _inserted(model):
        raise UsageError(
            f"no attention was added to this {type(model).__name__}",
            remedy='zoo.add_attention(model, "cbam", at=[...], example=x)',
        )
    return inserted_parameters(model)


def inserted_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of added attention, each once; none without any."""
    unique = {id(p): p for module in _inserted(model) for p in module.parameters()}
    return list(unique.values())


def freeze(model: nn.Module, *, norms: bool, attention: bool = False) -> None:
    """Let nothing of the host be trained; with `norms`, keep batch statistics as they are too.

    With `attention`, what was inserted stands still as well.
    """
    inserted = [] if attention else _inserted(model)
    own = {id(p) for module in inserted for p in module.parameters()}
    names = [n for n, p in model.named_parameters() if id(p) not in own and p.requires_grad]
    for name in names:
        model.get_parameter(name).requires_grad_(False)
    vars(model)[FROZEN] = [*vars(model).get(FROZEN, ()), *names]
    if norms:
        _hold_norms(model, inserted)


def thaw(model: nn.Module) -> None:
    """Undo `freeze` for the model, and for each part of it, that has no attention any more."""
    for part in model.modules():
        if vars(part).keys() & {FROZEN, IN_EVAL} and not added(part):
            _thaw(part)


def _thaw(model: nn.Module) -> None:
    """Of what is still there: layers may have been taken out or replaced since."""
    frozen, held = vars(model).pop(FROZEN, ()), vars(model).pop(IN_EVAL, ())
    for name, parameter in model.named_parameters(remove_duplicate=False) if frozen else ():
        if name in frozen:
            parameter.requires_grad_(True)
    for path, module in list(model.named_modules(remove_duplicate=False)) if held else ():
        if path in held and isinstance(module, _InEval):
            unswap(cast(nn.Module, module))
            module.train(model.training)


def _inserted(model: nn.Module) -> list[nn.Module]:
    forms = [form for _, form, _ in added(model)]
    record = record_of(model)
    for _, module in placed(model, record.sites) if record is not None else ():
        forms.append(cast(nn.Module, module.attn) if is_joined(module) else module)
    return forms


def _hold_norms(model: nn.Module, inserted: list[nn.Module]) -> None:
    inside = {id(m) for form in inserted for m in form.modules()}
    held = list(vars(model).get(IN_EVAL, ()))
    for path, module in model.named_modules():
        counts = getattr(module, "running_mean", None) is not None
        if counts and id(module) not in inside and not isinstance(module, _InEval):
            held.append(path)
            swap(module, _InEval)
            module.eval()
    vars(model)[IN_EVAL] = held


class _InEval:
    """A norm that stays in evaluation mode."""

    def train(self: Any, mode: bool = True) -> Any:
        return super().train(False)  # pyright: ignore[reportAttributeAccessIssue]
