"""Training the attention alone: which parameters it has, and a host that stands still."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from torch import nn

from zoo.errors import UsageError
from zoo.hosts.swap import added

FROZEN = "zoo_frozen"  # on the host: names of parameters that were trained before
IN_EVAL = "zoo_norms_in_eval"  # on the host: paths of norms that were not before


def attention_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of the attention that was added to a model, for an optimiser.

    Of models from `zoo.create_model` with an attention, too.

    Raises:
        UsageError: no attention was added.
    """
    inserted = _inserted(model)
    if not inserted:
        raise UsageError(
            f"no attention was added to this {type(model).__name__}",
            remedy='zoo.add_attention(model, "cbam", at=[...], example=x)',
        )
    unique = {id(p): p for module in inserted for p in module.parameters()}
    return list(unique.values())


def freeze(model: nn.Module, *, norms: bool) -> None:
    """Let nothing of the host be trained; with `norms`, keep batch statistics as they are too."""
    own = {id(p) for module in _inserted(model) for p in module.parameters()}
    names = [n for n, p in model.named_parameters() if id(p) not in own and p.requires_grad]
    for name in names:
        model.get_parameter(name).requires_grad_(False)
    vars(model)[FROZEN] = [*vars(model).get(FROZEN, ()), *names]
    if norms:
        _hold_norms(model)


def thaw(model: nn.Module) -> None:
    """Undo `freeze`."""
    for name in vars(model).pop(FROZEN, ()):
        model.get_parameter(name).requires_grad_(True)
    for path, was_training in vars(model).pop(IN_EVAL, ()):
        norm: Any = model.get_submodule(path)
        norm.__class__ = type(norm).zoo_base
        norm.train(was_training)


def _inserted(model: nn.Module) -> list[nn.Module]:
    forms = [form for _, form, _ in added(model)]
    for path in vars(model).get("zoo_sites", ()):
        module = model.get_submodule(path)
        swapped = getattr(type(module), "zoo_made_of", None) is not None
        forms.append(cast(nn.Module, module.attn) if swapped else module)
    return forms


def _hold_norms(model: nn.Module) -> None:
    inside = {id(m) for form in _inserted(model) for m in form.modules()}
    held = list(vars(model).get(IN_EVAL, ()))
    for path, module in model.named_modules():
        counts = getattr(module, "running_mean", None) is not None
        if counts and id(module) not in inside and not hasattr(type(module), "zoo_base"):
            held.append((path, module.training))
            module.__class__ = _in_eval(type(module))
            module.eval()
    vars(model)[IN_EVAL] = held


@cache
def _in_eval(base: type[nn.Module]) -> type[nn.Module]:
    """A subclass of `base` that stays in evaluation mode. One for each base."""

    def train(self: Any, mode: bool = True) -> Any:
        return base.train(self, False)

    def reduce(self: Any, protocol: Any) -> tuple[Any, ...]:
        return _rebuild, (base,), self.__getstate__()

    members = {
        "train": train, "__reduce_ex__": reduce, "__module__": base.__module__,
        "__qualname__": base.__qualname__, "__doc__": base.__doc__, "zoo_base": base,
    }  # fmt: skip
    return cast(type[nn.Module], type(base.__name__, (base,), members))


def _rebuild(base: type[nn.Module]) -> nn.Module:
    cls = _in_eval(base)
    return cls.__new__(cls)
