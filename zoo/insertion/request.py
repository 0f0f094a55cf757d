"""What is to be put where: one attention, one backbone, and how the attention is to start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from zoo.errors import IncompatibleBackboneError, OptionError
from zoo.insertion.sites import Site, choose, in_last_stage, small_enough
from zoo.registry.specs import AttentionSpec, Form

Build = Callable[..., nn.Module]
REMEDIES = {
    "refine": "a backbone with feature maps, e.g. resnet50, convnext_tiny, swin_tiny_...",
    "replace_conv": "a resnet, resnext, regnet, byobnet, efficientnet, convnext or densenet",
    "replace_mixer": "a vision transformer, e.g. vit_small_patch16_224, deit_tiny_patch16_224",
}
MISSING = {
    "refine": "{1} has no feature map (B, C, H, W) for {0} to refine",
    "replace_conv": "{0} replaces a block's spatial convolution, and none is known in {1}",
    "replace_mixer": "{0} replaces a transformer's softmax attention, and none is known in {1}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The backbone that is being changed: the model, its name, and the input it is built for."""

    model: nn.Module
    name: str
    img_size: tuple[int, int]
    in_chans: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The arguments of `insert`; `sites` are patterns, None for the attention's default places."""

    target: Target
    spec: AttentionSpec
    build: Build
    sites: tuple[str, ...] | None
    insertion: Form

    def make(self, site: Site, **more: object) -> nn.Module:
        """The attention's module for one site."""
        if self.spec.insertion.needs_size:
            more["feat_size"] = site.map_size(self.target.img_size)
        try:
            return self.build(site.channels, **more)
        except OptionError as error:
            raise IncompatibleBackboneError(
                f"{self.spec.name} cannot go to {site.path} of {self.target.name}: {error.what}",
                where=error.where,
                remedy=error.remedy or "other attention_options=, or other sites=",
            ) from error

    def named(self, places: list[Site]) -> list[Site]:
        """Those of the places that `sites` names; none named are all."""
        return choose(places, self.sites, self.target.name, self.spec.name)

    def by_default(self, places: list[Site]) -> list[Site]:
        """Those that the attention's spec prefers, unless `sites` says otherwise."""
        if self.sites is None and self.spec.insertion.default_sites == "last_stage":
            return in_last_stage(self.target.model, places)
        return places

    def affordable(self, places: list[Site]) -> list[Site]:
        """Without maps on which a quadratic mechanism would be too costly."""
        if not self.spec.insertion.quadratic:
            return places
        return small_enough(places, self.target.img_size, self.target.name, self.spec.name)

    def no_place(self) -> IncompatibleBackboneError:
        return IncompatibleBackboneError(
            MISSING[self.spec.insertion.role].format(self.spec.name, self.target.name),
            remedy=REMEDIES[self.spec.insertion.role],
        )
