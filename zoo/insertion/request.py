"""What is to be put where: one attention, one backbone, and how the attention is to start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import Literal

import torch
from torch import nn

from zoo.errors import IncompatibleBackboneError, OptionError
from zoo.insertion.probe import Call, Value, probe
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

    def run(self, empty: Sequence[str] = ()) -> list[Call]:
        """What runs for such an input, on fake tensors; `empty`: places that hold None yet."""
        like = next((p for p in self.model.parameters() if p.is_floating_point()), torch.empty(0))
        image = like.new_empty((1, self.in_chans, *self.img_size))
        try:
            return probe(self.model, image, empty=empty)
        except Exception as error:  # the model may be anyone's
            size = f"{self.img_size[0]}x{self.img_size[1]}"
            raise IncompatibleBackboneError(
                f"{type(self.model).__name__} cannot be run at {size}: {error}",
                remedy="give img_size=, or name another backbone",
            ) from error

    def sized(self, sites: Sequence[Site], of: Literal["takes", "gives"] = "gives") -> list[Site]:
        """The sites with the size of the map that is given, or taken, at each."""
        unknown = [site.path for site in sites if site.size is None]
        if not unknown:
            return list(sites)
        modules = dict(self.model.named_modules())
        calls = self.run(empty=[path for path in unknown if path not in modules])
        maps = {call.path: getattr(call, of) for call in calls}
        return [changed(s, size=s.size or self._size(s, maps.get(s.path))) for s in sites]

    def _size(self, site: Site, value: Value | None) -> tuple[int, int]:
        if value is None or len(value.shape) != 4:
            raise IncompatibleBackboneError(
                f"{site.path} of {self.name} gives no map, or does not run",
                where="sites",
                remedy="other sites=",
            )
        rows, columns = value.shape[1:3] if site.channels_last else value.shape[2:]
        return rows, columns


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
            more["feat_size"] = site.size
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
        """Without maps, of known size, on which a quadratic mechanism would be too costly."""
        if not self.spec.insertion.quadratic:
            return places
        return small_enough(places, self.target.img_size, self.target.name, self.spec.name)

    @property
    def asks_for_sizes(self) -> bool:
        """Whether the attention or its places depend on the size of the map."""
        return self.spec.insertion.needs_size or self.spec.insertion.quadratic

    def no_place(self) -> IncompatibleBackboneError:
        return IncompatibleBackboneError(
            MISSING[self.spec.insertion.role].format(self.spec.name, self.target.name),
            remedy=REMEDIES[self.spec.insertion.role],
        )
