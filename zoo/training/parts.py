"""The parts of a model that are trained, and those that are new."""

from __future__ import annotations

from typing import Any

from torch import nn

from zoo.errors import RecipeError, UsageError
from zoo.hosts.freeze import attention_parameters, freeze
from zoo.runtime.model_record import record_of
from zoo.weights.tensor_facts import classifier_names

Parameters = list[nn.Parameter]


def train_only(model: nn.Module, part: str) -> None:
    """Freeze all but a part of a model: `"attention"`, `"head"` (its classifier), or `"all"`.

    A classifier that is new is trained with the attention. Norms that are frozen keep their
    statistics.

    Raises:
        RecipeError: the model has no such part.
    """
    if part == "all":
        return
    head, attention = _classifier(model), _attention(model)
    if part == "attention" and not attention:
        raise RecipeError(
            f"train = 'attention', and {type(model).__name__} has none of the zoo's",
            remedy="a model such as se_resnet50, or train = 'head' or 'all'",
        )
    if part == "head" and not head:
        raise RecipeError(
            f"train = 'head', and {type(model).__name__} has no classifier of timm's",
            remedy="train = 'all'",
        )
    freeze(model, norms=True, attention=part == "head")
    if part == "head" or "classifier" in _untrained(model):
        for parameter in head:
            parameter.requires_grad_(True)


def new_parts(model: nn.Module) -> dict[str, Parameters]:
    """The parameters of the attention and the classifier, where weights left them untrained."""
    found = {"attention": _attention, "classifier": _classifier}
    return {part: find(model) for part, find in found.items() if part in _untrained(model)}


def _untrained(model: nn.Module) -> tuple[str, ...]:
    return record.untrained if (record := record_of(model)) else ()


def _attention(model: nn.Module) -> Parameters:
    try:
        return attention_parameters(model)
    except UsageError:
        return []


def _classifier(model: nn.Module) -> Parameters:
    heads: list[Any] = [model.get_submodule(name) for name in classifier_names(model)]
    return [parameter for head in heads for parameter in head.parameters()]
