"""The one record that the zoo leaves on a model that it built: `model.zoo`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class ModelRecord:
    """What a model is, where its attention is, and what its weights are.

    Attributes:
        name: the name of the model, as `create_model` takes it.
        options: options of the model or the backbone, as plain data.
        backbone, attention, attention_options: the parts of a composition; empty otherwise.
        sites: the dotted path of each place that has the attention.
        placement: what the places were chosen from (`stage`, ...), where somebody said so.
        insertion: the form of the attention: `plain`, `exact` or `residual`.
        replace: whether it stands in the place of the backbone's own attention.
        weights: where they came from (source, revision, sha256); empty if there are none.
        untrained: the parts that the weights left untrained: `attention`, `classifier`.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    backbone: str = ""
    attention: str = ""
    attention_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    sites: list[str] = field(default_factory=list[str])
    placement: str = ""
    insertion: str = "plain"
    replace: bool = False
    weights: Mapping[str, Any] = field(default_factory=dict[str, Any])
    untrained: tuple[str, ...] = ()


def record_of(model: object) -> ModelRecord | None:
    """The record of a model; None for a model that the zoo did not build.

    In a model that version 0.1 pickled, the parts of the record are attributes of their own.
    """
    held = vars(model)
    if isinstance(held.get("zoo"), ModelRecord):
        return held["zoo"]
    if "zoo_config" not in held:
        return None
    stated = {**held["zoo_config"], "weights": held.get("zoo_weights", {})}
    stated["sites"] = list(stated.get("sites", ()))
    return ModelRecord(**stated, untrained=tuple(held.get("zoo_untrained", ())))
