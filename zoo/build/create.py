"""`create_model` builds a timm model from a name, with verified weights if asked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from torch import nn

from zoo.build.assemble import assemble, check_arguments
from zoo.build.attention import create_attention
from zoo.build.budget import Bounded, Budget
from zoo.build.features import feature_extractor
from zoo.build.plan import make_plan
from zoo.build.saved import saved_model
from zoo.build.weights_choice import open_hub_model
from zoo.errors import UsageError
from zoo.registry import Registry, default_registry
from zoo.registry.specs import WeightsSpec

__all__ = ["create_attention", "create_model"]


def create_model(
    name: str | os.PathLike[str],
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
    out_indices: int | Sequence[int] | None = None,
    feature_cls: str | type[nn.Module] | None = None,
    weights: str | os.PathLike[str] | None = None,
    backbone_weights: str | os.PathLike[str] | None = None,
    registry: Registry | None = None,
    **options: Any,
) -> nn.Module:
    """Build a model by name. The result is a timm model.

    Args:
        name: a named model, `<attention>_<backbone>`, or a timm name, each with `.<tag>` if wanted;
            or `hf-hub:org/name@revision`, a repository of the zoo or of timm; or, with its weights,
            the folder of a run of `zoo train` or a file that `zoo.save_model` wrote.
        pretrained: load the default weights, or those of the tag. An attention in a backbone for
            which there are none takes the weights of the plain backbone, without moving its logits,
            and the zoo says that the attention is untrained.
        attention: put this attention into the backbone `name`. This is the explicit form of
            `<attention>_<backbone>`.
        attention_options: options of the mechanism for every site, such as `{"reduction": 8}`.
        sites: where the attention goes: `"block"`, `"stage"`, `"between_stages"`, or dotted paths,
            their prefixes or patterns, such as `["layer3", "layer4.*.se"]`. By default, it goes
            where the mechanism's spec says; if the backbone's blocks are of no known family, after
            each stage.
        insertion: `"plain"` is f(x), `"exact"` is f started as the identity, and `"residual"` is x
            + alpha (f(x) - x) with alpha = 0 at the start (0.01 where f is built as x). By default
            it is what the weights state or their tensors tell; in a warm start what the mechanism's
            spec prefers, exact or residual (docs/warm-starts.md); else plain.
        replace: put it in the place of attention that the backbone already has.
        num_classes, in_chans: as in timm. By default, a model with weights has their number of
            classes. Another number of classes gives a new classifier, which the zoo says; another
            number of channels gives an adapted first convolution.
        features_only, out_indices, feature_cls: return a list of feature maps instead of logits, as
            timm's extractor of the backbone gives it: of that class, with those keys and that many
            maps.
        weights: instead of `pretrained`, a tag, a safetensors file, or `hf-hub:org/name@revision`.
            Where the call says nothing, what a file or a repository of this model states is taken
            (`zoo.save_model`): classes, options, places and form of the attention.
        backbone_weights: a warm start as by `pretrained`, from weights of the plain backbone that
            you name: a safetensors file, `hf-hub:org/name@revision`, or a tag.
        registry: where names are looked up, for tests.
        **options: options of the backbone (`drop_path_rate`, `img_size`, ...) or of the named
            model. Settings of the authors' code are accepted where the model states them.

    Returns:
        The model. `model.zoo` is its record: what rebuilds it (name, options, sites, ...), what its
            weights are (source, revision, sha256), and which of its parts they left `untrained`.

    Raises:
        ZooError: an UnknownNameError, AmbiguousNameError, OptionError, IncompatibleBackboneError,
            WeightsError or HubError.
    """
    check_arguments(num_classes, in_chans, options.get("img_size"))
    registry = registry or default_registry()
    given = {
        "attention": attention, "attention_options": attention_options, "sites": sites,
        "insertion": insertion, "replace": replace or None, "num_classes": num_classes,
        "in_chans": in_chans,
    }  # fmt: skip
    arguments = {key: value for key, value in given.items() if value is not None} | options
    chosen: str | os.PathLike[str] | WeightsSpec | None = weights
    bound = nullcontext()
    if saved := saved_model(name, registry):
        name, file = saved
        if weights is not None or backbone_weights is not None:
            raise UsageError("the path names the weights already", where=str(file))
        pretrained, chosen = False, file
    assert not isinstance(name, os.PathLike)  # paths are of saved models
    if isinstance(name, str) and name.startswith("hf-hub:"):
        reference = name
        name, stated, published, size = open_hub_model(reference)
        bound = Bounded(Budget.of_size(reference, size))
        arguments = {**stated, **arguments}
        own = pretrained and weights is None and backbone_weights is None
        chosen = published if own else weights
    plan = make_plan(
        name, registry, pretrained=pretrained, weights=chosen, backbone_weights=backbone_weights,
        **arguments,
    )  # fmt: skip
    with bound:
        model = assemble(plan, registry)
    if not features_only:
        return model
    backbone = "" if plan.base else plan.backbone
    return feature_extractor(
        model, backbone, plan.options, out_indices=out_indices, feature_cls=feature_cls
    )
