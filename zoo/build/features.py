"""`features_only`: timm's extractors around a model that is already built."""

from __future__ import annotations

from collections.abc import Sequence

from timm.models._features import FeatureGetterNet, FeatureHookNet
from torch import nn

from zoo.errors import UsageError


def feature_extractor(model: nn.Module, out_indices: Sequence[int] | None = None) -> nn.Module:
    """A model that returns a list of maps (B, C_i, H_i, W_i), one for each of `out_indices`.

    By `forward_intermediates` where the model has it, which also drops what comes after the last
    map; by hooks where it has only `feature_info`.

    Raises:
        UsageError: the model has no feature maps, or not those.
    """
    info = getattr(model, "feature_info", None)
    if not info:
        raise UsageError(f"{type(model).__name__} has no feature maps", where="features_only=True")
    count = len(info)
    chosen = tuple(range(count)) if out_indices is None else tuple(out_indices)
    if not chosen or not all(-count <= index < count for index in chosen):
        raise UsageError(f"out_indices={out_indices!r} are not among 0 to {count - 1}")
    wrap = FeatureGetterNet if hasattr(model, "forward_intermediates") else FeatureHookNet
    features = wrap(model, out_indices=tuple(index % count for index in chosen))
    for name in ("pretrained_cfg", "default_cfg", "zoo_config", "zoo_weights", "in_chans"):
        if hasattr(model, name):
            setattr(features, name, getattr(model, name))
    return features
