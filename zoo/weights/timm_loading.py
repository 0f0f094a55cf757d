"""How timm itself would load the file of an architecture: its key filter, with all that is bound to
it.

Each entry point of timm hands its filter to `load_pretrained` when it builds a model. There is no
other way to ask for it: some filters are made inside the entry point, and some carry bound
arguments. `create` builds the model and keeps what would have been called. Nothing is fetched.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import timm
from timm.models import _builder
from torch import Tensor, nn

State = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Loading:
    """What timm does with the file of an architecture.

    Attributes:
        filter_fn: turns old key names of the family into those of the model; or None.
        strict: whether a file may have no keys but those of the model.
    """

    filter_fn: Callable[..., State] | None = None
    strict: bool = True

    def filtered(self, state: State, model: nn.Module) -> State:
        """The state under the names of the model. The filter may raise whatever it likes."""
        if self.filter_fn is None:
            return state
        wants_model = len(_positional(self.filter_fn)) > 1
        return self.filter_fn(state, model) if wants_model else self.filter_fn(state)


def create(name: str, **options: Any) -> tuple[nn.Module, Loading]:
    """`timm.create_model(name, pretrained=True, **options)` without its weights, and how timm would
    load them.
    """
    caught: list[Loading] = []
    token = _caught.set(caught)
    try:
        model = timm.create_model(name, pretrained=True, **options)
    finally:
        _caught.reset(token)
    return model, caught[-1] if caught else Loading()


def _positional(function: Callable[..., Any]) -> list[inspect.Parameter]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p for p in inspect.signature(function).parameters.values() if p.kind in kinds]


_caught: ContextVar[list[Loading] | None] = ContextVar("caught", default=None)
_load_pretrained = _builder.load_pretrained


def _load_or_catch(model: nn.Module, *rest: Any, **options: Any) -> None:
    """timm's own function, except within `create` of the same thread."""
    caught = _caught.get()
    if caught is None:
        _load_pretrained(model, *rest, **options)
    else:
        caught.append(Loading(options.get("filter_fn"), options.get("strict", True)))


_builder.load_pretrained = _load_or_catch
