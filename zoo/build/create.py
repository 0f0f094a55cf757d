"""`create_model` builds a timm model from a name, with verified weights if asked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from typing import Any, cast

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
    start = _Start(pretrained=pretrained, weights=weights, backbone_weights=backbone_weights)
    meant = _saved(name, start, registry) or _published(name, start)
    meant = meant or _Meant(cast(str, name), start)  # paths are of saved models
    plan = make_plan(
        meant.name, registry, pretrained=meant.start.pretrained, weights=meant.start.weights,
        backbone_weights=meant.start.backbone_weights, **{**meant.stated, **arguments},
    )  # fmt: skip
    with meant.bound:
        model = assemble(plan, registry)
    if not features_only:
        return model
    backbone = "" if plan.base else plan.backbone
    return feature_extractor(
        model, backbone, plan.options, out_indices=out_indices, feature_cls=feature_cls
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """Which weights a call asks for."""

    pretrained: bool
    weights: str | os.PathLike[str] | WeightsSpec | None
    backbone_weights: str | os.PathLike[str] | None

    @property
    def is_named(self) -> bool:
        """Whether the call names weights of its own."""
        return self.weights is not None or self.backbone_weights is not None


@dataclass(frozen=True, slots=True)
class _Meant:
    """The model that a name means.

    Attributes:
        stated: options that a published model brings; those of the call have precedence.
        bound: limits what a stranger's config may ask for.
    """

    name: str
    start: _Start
    stated: Mapping[str, Any] = field(default_factory=dict[str, Any])
    bound: AbstractContextManager[object] = field(default_factory=nullcontext[None])


def _saved(name: str | os.PathLike[str], start: _Start, registry: Registry) -> _Meant | None:
    """The folder of a run or a file, which brings its weights."""
    saved = saved_model(name, registry)
    if saved is None:
        return None
    model, file = saved
    if start.is_named:
        raise UsageError("the path names the weights already", where=str(file))
    return _Meant(model, replaced(start, pretrained=False, weights=file))


def _published(name: str | os.PathLike[str], start: _Start) -> _Meant | None:
    """A repository of the Hub, whose config says what model it is."""
    if not str(name).startswith("hf-hub:"):
        return None
    model, stated, weights, size = open_hub_model(str(name))
    own = start.pretrained and not start.is_named
    start = replaced(start, weights=weights) if own else start
    return _Meant(model, start, stated, Bounded(Budget.of_size(str(name), size)))
