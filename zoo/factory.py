"""`create_model`: a name becomes a timm model, with verified weights if asked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from torch import nn

from zoo.assemble import assemble, check_arguments
from zoo.budget import Bounded, Budget
from zoo.features import feature_extractor
from zoo.mechanisms import create_attention
from zoo.plan import make_plan, open_hub_model
from zoo.registry import Registry, default_registry
from zoo.specs import WeightsSpec

__all__ = ["create_attention", "create_model"]


def create_model(
    name: str,
    pretrained: bool = False,
    *,
    attention: str | None = None,
    attention_options: Mapping[str, Any] | None = None,
    sites: str | Sequence[str] | None = None,
    insertion: str | None = None,
    replace: bool = False,
    num_classes: int | None = None,
    in_chans: int | None = None,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
    weights: str | os.PathLike[str] | None = None,
    registry: Registry | None = None,
    **options: Any,
) -> nn.Module:
    """Build a model by name; the result is a timm model.

    Args:
        name: a named model, `<attention>_<backbone>`, or a timm name, each with `.tag` if wanted;
            or `hf-hub:org/name@revision`, a repository of the zoo or of timm.
        pretrained: load the default weights (or the tag's). A composition takes the weights of its
            plain backbone without moving its logits, and says that the attention is untrained.
        attention: put this one into the backbone `name`: the explicit form of a composed name.
        attention_options: options of the mechanism (`reduction=8`), for every site.
        sites: where it goes: `"block"`, `"stage"`, `"between_stages"`, or dotted paths, their
            prefixes or patterns (`["layer3", "layer4.*.se"]`). Default: as the mechanism's spec
            says; without an adapter for the backbone's blocks, after each stage.
        insertion: `"plain"` f(x); `"exact"` f started as the identity; `"residual"`
            x + alpha (f(x) - x), alpha = 0. Default: as the weights ask, else plain.
        replace: put it in the place of attention that the backbone already has.
        num_classes, in_chans: as in timm; another number than the weights' gives a new classifier,
            or an adapted first convolution.
        features_only, out_indices: a list of feature maps instead of logits.
        weights: instead of `pretrained`: a tag, a safetensors file, or `hf-hub:org/name@revision`.
        registry: where names are looked up, for tests.
        **options: of the backbone (`drop_path_rate`, `img_size`, ...) or of the named model; the
            settings of the authors' code are accepted where the model states them.

    Returns:
        The model. `model.zoo_config` holds what rebuilds it (the sites too), `model.zoo_weights`
        what its weights were (source, revision, sha256).

    Raises:
        UnknownNameError, AmbiguousNameError, OptionError, IncompatibleBackboneError,
        WeightsError, HubError: all are `ZooError`.
    """
    check_arguments(num_classes, in_chans)
    registry = registry or default_registry()
    given = {
        "attention": attention, "attention_options": attention_options, "sites": sites,
        "insertion": insertion, "replace": replace or None, "num_classes": num_classes,
        "in_chans": in_chans,
    }  # fmt: skip
    arguments = {key: value for key, value in given.items() if value is not None} | options
    chosen: str | os.PathLike[str] | WeightsSpec | None = weights
    bound = nullcontext()
    if name.startswith("hf-hub:"):
        reference = name
        name, stated, published, size = open_hub_model(reference)
        bound = Bounded(Budget.of_size(reference, size))
        arguments = {**stated, **arguments}
        chosen = published if weights is None and pretrained else weights
    plan = make_plan(name, registry, pretrained=pretrained, weights=chosen, **arguments)
    with bound:
        model = assemble(plan, registry)
    return feature_extractor(model, out_indices) if features_only else model
