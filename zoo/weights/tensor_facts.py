"""What the tensors of a file tell of their model where nobody has stated it: its classes and form.

A model is built first as it would be by default. What the file has and the model lacks, or the
reverse, tells the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from zoo.registry.specs import Form

Shapes = Mapping[str, Tensor]
# keys that only a form of insertion has: see `zoo.insertion.forms`
FORM_KEYS: dict[str, Form] = {"gate_scale": "exact", "alpha": "residual"}


def classifier_names(model: nn.Module) -> tuple[str, ...]:
    """The paths of the module that `get_classifier()` gives."""
    get = getattr(model, "get_classifier", None)
    head = get() if get else None
    return tuple(name for name, module in model.named_modules() if module is head)


def classifier_keys(names: str | Iterable[str], keys: Collection[str]) -> set[str]:
    """Those of the keys that belong to a classifier of these names."""
    names = (names,) if isinstance(names, str) else tuple(names)
    return {key for key in keys if any(key.startswith(f"{name}.") for name in names)}


def classes_of(state: Shapes, model: nn.Module, names: str | Iterable[str]) -> int | None:
    """The number of classes that a file was made for. 0 means no classifier, None that it is not
    known.

    It is the first size of those tensors of the classifier that have as many rows as the model has
    classes. If the model has other tensors that depend on its classes, those count too.

    Args:
        names: the paths of the model's classifier.
    """
    own, count = model.state_dict(), getattr(model, "num_classes", None)
    if not isinstance(count, int):
        return None
    heads = classifier_keys(names, own)
    if not heads:
        return _rows(state, classifier_keys(names, state))
    if not classifier_keys(names, state):
        return 0
    return _rows(state, {k for k in heads if _rows_are(own[k], count)}) or _rows(
        state, {k for k, t in own.items() if _rows_are(t, count) and _differ(state.get(k), t)}
    )


def form_of(state: Shapes, model: nn.Module) -> Form | None:
    """The form of insertion that a file was saved in, by keys that only that form has."""
    own = model.state_dict()
    for key, form in FORM_KEYS.items():
        if _marks(state.keys() - own.keys(), key):
            return form
    return "plain" if any(_marks(own.keys() - state.keys(), key) for key in FORM_KEYS) else None


def _rows(state: Shapes, keys: Iterable[str]) -> int | None:
    """The first size that all of these tensors share."""
    sizes = {state[key].shape[0] for key in keys if key in state and state[key].ndim}
    return sizes.pop() if len(sizes) == 1 else None


def _rows_are(tensor: Any, count: int) -> bool:
    return tensor.ndim > 0 and tensor.shape[0] == count


def _differ(tensor: Tensor | None, own: Tensor) -> bool:
    return tensor is not None and tensor.shape != own.shape


def _marks(keys: Iterable[str], name: str) -> list[str]:
    return [key for key in keys if key.rpartition(".")[2] == name]
