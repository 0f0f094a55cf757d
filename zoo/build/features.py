"""`features_only`: the extractor that timm would build, around a model that is already built.

The families of timm differ in the class of their extractors, in the keys of their state dicts, and
in how many maps they give by default. All of that is asked of timm itself, on the meta device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import timm
import torch
from timm.models import FeatureInfo, build_model_with_cfg
from timm.models._builder import pretrained_cfg_for_features
from timm.models._features import FeatureGetterNet, FeatureHookNet, FeatureHooks
from torch import Tensor, nn

from zoo.errors import UsageError
from zoo.runtime.swapping import swap

OF_ANY_MODEL = ("list", "dict", "hook", "fx", "getter")
KEPT = ("zoo", "in_chans")
NOT_OF_SHAPE = ("device", "dtype", "img_size")  # options without which the same layers are built


def feature_extractor(
    model: nn.Module,
    backbone: str = "",
    options: Mapping[str, Any] | None = None,
    *,
    out_indices: int | Sequence[int] | None = None,
    feature_cls: str | type[nn.Module] | None = None,
) -> nn.Module:
    """A model that returns a list of maps (B, C_i, H_i, W_i), one for each of `out_indices`.

    The extractor is of the class that timm's would be, with its keys. A model of its own keeps the
    keys of the classifier.

    Args:
        model: a model with timm's `feature_info`. It becomes part of the extractor.
        backbone: timm's name of what the model is built on.
        options: the options that this backbone was built with.
        out_indices: as in timm: indices of maps, a number of the last maps, or None for those that
            timm gives by default.
        feature_cls: as in timm: another class of extractor, or its name (`OF_ANY_MODEL`).

    Raises:
        UsageError: the model has no feature maps, or not those; or no such class is known.
    """
    info = getattr(model, "feature_info", None)
    if not info:
        raise UsageError(f"{type(model).__name__} has no feature maps", where="features_only=True")
    family = _family(backbone) if backbone else {}
    chosen = _indices(len(info), out_indices, family.get("out_indices"))
    config = pretrained_cfg_for_features(getattr(model, "pretrained_cfg", {}))
    kept = {name: getattr(model, name) for name in KEPT if hasattr(model, name)}
    features = _extract(model, backbone, dict(options or {}), family, chosen, feature_cls)
    if isinstance(features, FeatureGetterNet) and hasattr(model, "set_grad_checkpointing"):
        swap(features, Checkpointed)
    vars(features).update(kept, pretrained_cfg=config, default_cfg=config)
    return features


def _extract(
    model: nn.Module, backbone: str, options: dict[str, Any], family: Mapping[str, Any],
    chosen: tuple[int, ...], feature_cls: str | type[nn.Module] | None,
) -> nn.Module:  # fmt: skip
    if isinstance(feature_cls, str) and feature_cls.lower() not in OF_ANY_MODEL:
        raise UsageError(
            f"feature_cls={feature_cls!r} is none of {', '.join(OF_ANY_MODEL)}",
            where="features_only=True",
        )
    settings = {**family, "out_indices": chosen}
    if feature_cls is not None:
        return _wrapped(model, {**settings, "feature_cls": feature_cls})
    if backbone and not family:
        return _transplanted(model, backbone, options, chosen)
    return _wrapped(model, settings) if family else _in_place(model, chosen)


def _wrapped(model: nn.Module, settings: dict[str, Any]) -> nn.Module:
    """timm's own builder wraps what it is handed as if it had built it."""
    config: dict[str, Any] = dict(getattr(model, "pretrained_cfg", {}) or {})
    name = str(config.get("architecture") or type(model).__name__)
    return build_model_with_cfg(
        lambda **_: model, name, False,
        pretrained_cfg=config or {"architecture": name}, feature_cfg=settings, features_only=True,
    )  # fmt: skip


def _transplanted(
    model: nn.Module, backbone: str, options: dict[str, Any], chosen: tuple[int, ...]
) -> nn.Module:
    """The extractor of a family that has a class of its own, with the model's modules in it.

    It has the names that the model has, and activations besides, which the model's norms apply.
    """
    shaping = {key: value for key, value in options.items() if key not in NOT_OF_SHAPE}
    with torch.device("meta"):
        shell = timm.create_model(backbone, features_only=True, out_indices=chosen, **shaping)
    own = dict(model.named_children())
    for name, child in list(shell.named_children()):
        if type(child) is not nn.Identity:  # where the classifier was
            shell.add_module(name, own.get(name, nn.Identity()))
    return shell.train(model.training)


def _in_place(model: nn.Module, chosen: tuple[int, ...]) -> nn.Module:
    """The model itself, whose `forward` now gives maps: all that it was has the same keys."""
    by_hooks = not hasattr(model, "forward_intermediates")
    if not by_hooks and hasattr(model, "prune_intermediate_layers"):
        chosen = tuple(model.prune_intermediate_layers(list(chosen), prune_norm=True))  # pyright: ignore[reportCallIssue]
    info = FeatureInfo(list(model.feature_info), chosen)  # pyright: ignore[reportArgumentType]
    swap(model, HookedMaps if by_hooks else IntermediateMaps)
    vars(model).update(feature_info=info, out_indices=list(chosen))
    if by_hooks:
        rows: Any = info.get_dicts()
        names: Any = model.named_modules()
        vars(model)["feature_hooks"] = FeatureHooks(rows, names)
    return model


class Checkpointed:
    """Mixed into timm's getter, whose `model` can do this."""

    def set_grad_checkpointing(self: Any, enable: bool = True) -> None:
        self.model.set_grad_checkpointing(enable)


class IntermediateMaps:
    """Mixed into a model with timm's `forward_intermediates`."""

    def forward(self: Any, x: Tensor) -> list[Tensor]:
        return self.forward_intermediates(x, indices=self.out_indices, intermediates_only=True)


class HookedMaps:
    """Mixed into a model that has only `feature_info`: the outputs of the modules named there."""

    def forward(self: Any, x: Tensor) -> list[Tensor]:
        super().forward(x)  # pyright: ignore[reportAttributeAccessIssue]
        return list(self.feature_hooks.get_output(x.device).values())


def _indices(
    count: int, asked: int | Sequence[int] | None, usual: int | Sequence[int] | None
) -> tuple[int, ...]:
    """Places from 0; what is `usual` in the family is cut to what there is, else all are given."""
    if asked is None:
        found = range(count) if usual is None else _listed(usual)
        return tuple(index % count for index in found if -count <= index < count)
    found = () if isinstance(asked, bool) else _listed(asked)
    if not found or not all(isinstance(i, int) and -count <= i < count for i in found):
        raise UsageError(
            f"out_indices={asked!r} are not among the model's {count} maps",
            where="features_only=True",
            remedy=f"out_indices=({count - 1},), or out_indices=1, for the last",
        )
    return tuple(index % count for index in found)


def _listed(indices: int | Sequence[int]) -> tuple[int, ...]:
    """timm's two ways: an int is that many of the last."""
    return tuple(range(-indices, 0)) if isinstance(indices, int) else tuple(indices)


class _Asked(FeatureHookNet):
    """Stands in for an extractor, and keeps what timm would have built one with."""

    def __init__(self, model: nn.Module, **settings: Any) -> None:
        nn.Module.__init__(self)
        self.settings = settings


@cache
def _family(backbone: str) -> Mapping[str, Any]:
    """timm's `feature_cfg` of a family; empty where the family has an extractor of its own."""
    with torch.device("meta"):
        usual = type(timm.create_model(backbone, features_only=True))
        if usual.__module__ != FeatureHookNet.__module__:
            return {}
        asked: Any = timm.create_model(backbone, features_only=True, feature_cls=_Asked)
    settings = {key: value for key, value in asked.settings.items() if key != "output_fmt"}
    return {**settings, "feature_cls": usual}
