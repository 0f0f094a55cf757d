"""The check of a whole network of a plugin: it keeps timm's interface, as its spec promises."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest

import torch
from torch import Tensor

from zoo.build.create import create_model
from zoo.errors import OptionError, ZooError
from zoo.registry import Registry

CLASSES = 5
INTERFACE = ("forward_features", "forward_head", "reset_classifier", "get_classifier")


def check_network(name: str, *, registry: Registry | None = None) -> None:
    """A network has the classes and channels that it is asked for, its parts make up the whole,
    a classifier can be exchanged, and its maps are those that `feature_info` states.

    Args:
        name: of a model or a backbone.
        registry: where it is looked up, for a plugin that is not installed.

    Raises:
        AssertionError: what is wrong. SkipTest: it does not follow timm's interface of a
        classifier, as networks that read sequences do not.
    """
    try:
        _Network(name, registry).check()
    except (AssertionError, SkipTest, ZooError):
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        raise AssertionError(f"{name}: it ended in {type(error).__name__}: {said}") from error


class _Network:
    """The network under check, and one batch of images as its settings say."""

    def __init__(self, name: str, registry: Registry | None) -> None:
        self.name, self.registry = name, registry
        self.model: Any = self.built(num_classes=CLASSES)
        if not all(hasattr(self.model, method) for method in INTERFACE):
            raise SkipTest(f"{name} has no {', '.join(INTERFACE)}")
        self.x = self.images(*self.model.pretrained_cfg["input_size"])

    def built(self, **options: Any) -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return create_model(self.name, registry=self.registry, **options).eval()

    def images(self, channels: int, height: int, width: int) -> Tensor:
        drawn = torch.Generator().manual_seed(1)
        return torch.rand(2, channels, height, width, generator=drawn)

    def require(self, condition: bool, what: str) -> None:
        if not condition:
            raise AssertionError(f"{self.name}: {what}")

    @torch.no_grad()
    def check(self) -> None:
        logits = self.model(self.x)
        shape = tuple(getattr(logits, "shape", ()))
        self.require(shape == (2, CLASSES), f"num_classes={CLASSES} gives logits {shape}")
        self.check_channels()
        self.check_parts(logits)
        self.check_classifier()
        if getattr(self.model, "feature_info", None):
            self.check_maps()

    def check_channels(self) -> None:
        """Of the images; a network may refuse another number of them."""
        channels = 3 if self.x.shape[1] == 1 else 1
        try:
            other = self.built(in_chans=channels)
        except OptionError:
            return
        other(self.images(channels, *self.x.shape[2:]))

    def check_parts(self, logits: Tensor) -> None:
        model, features = self.model, self.model.forward_features(self.x)
        whole = model.forward_head(features)
        same = "forward is not forward_head(forward_features(x))"
        self.require(torch.allclose(whole, logits, rtol=1e-4, atol=1e-5), same)
        seen = {features.shape[1], features.shape[-1]}
        what = f"num_features is {model.num_features}, forward_features gives {features.shape}"
        self.require(model.num_features in seen, what)
        before = model.forward_head(features, pre_logits=True)
        width = getattr(model, "head_hidden_size", model.num_features)
        what = f"head_hidden_size is {width}, before the classifier there are {before.shape}"
        self.require(before.shape[1] == width, what)

    def check_classifier(self) -> None:
        model: Any = self.built(num_classes=CLASSES)
        names = model.pretrained_cfg.get("classifier")
        for name in [names] if isinstance(names, str) else names or ():
            given = model.get_classifier()
            parts = given if isinstance(given, tuple) else (given,)
            what = f"get_classifier() is not {name!r}, which pretrained_cfg names"
            self.require(any(model.get_submodule(name) is part for part in parts), what)
        for classes in (3, 0):
            model.reset_classifier(classes)
            width = classes or getattr(model, "head_hidden_size", model.num_features)
            shape = tuple(model.eval()(self.x).shape)
            what = f"after reset_classifier({classes}) the output is {shape}, not {(2, width)}"
            self.require(shape == (2, width), what)
            self.require(model.num_classes == classes, f"num_classes stays {model.num_classes}")

    def check_maps(self) -> None:
        features: Any = self.built(features_only=True)
        stated = features.feature_info.channels()
        maps = [tuple(m.shape) for m in features(self.x)]
        fit = [c in (shape[1], shape[-1]) for c, shape in zip(stated, maps, strict=True)]
        self.require(all(fit), f"feature_info says channels {stated}, the maps are {maps}")
