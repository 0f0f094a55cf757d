"""The options of a residual attention network, read and checked in one place. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from zoo.sdk.options import check_choice, check_int, refuse

NAME = "residual_attention"
CHOICES = {
    "unit": ("preact_bottleneck", "resnext", "inception"),
    "mask": ("mixed", "channel", "spatial", "none"),
    "learning": ("arl", "nal"),
    "form": ("paper", "tengshaofeng"),
}
LEAST = {
    "p": 0, "t": 1, "r": 1, "groups": 1,
    "stem_width": 1, "stem_kernel": 1, "stem_stride": 1, "stem_pool": 0,
}  # fmt: skip
LEAST_OF_EACH = {"modules": 0, "widths": 1, "strides": 1, "depth_hourglass": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Layout of a network of n stages.

    Attributes:
        modules: attention modules of each stage but the last, n - 1 numbers.
        widths, strides: channels of each stage, and the stride of its first unit.
        depth_hourglass: poolings of the masks of each stage but the last; empty: as often as the
            strides that follow halve the map, so that all masks end at the size of the last map.
        p, t, r: units before and after trunk and mask, in the trunk, between two poolings.
        unit: `preact_bottleneck`, `resnext` or `inception`. groups: of ResNeXt's convolutions.
        mask: `mixed`, `channel` or `spatial`: f1, f2 or f3 of the paper; `none` is the trunk alone.
        learning: `arl`, (1 + M) F, or `nal`, M F.
        stem_width, stem_kernel, stem_stride: of the first convolution.
        stem_pool: size of the max pooling of stride 2 behind it; 0 is none.
        form: `paper`, or `tengshaofeng`, the popular PyTorch port (`variant=` of the model).
    """

    modules: tuple[int, ...] = (1, 1, 1)
    widths: tuple[int, ...] = (256, 512, 1024, 2048)
    strides: tuple[int, ...] = (1, 2, 2, 2)
    depth_hourglass: tuple[int, ...] = ()
    p: int = 1
    t: int = 2
    r: int = 1
    unit: str = "preact_bottleneck"
    groups: int = 32
    mask: str = "mixed"
    learning: str = "arl"
    stem_width: int = 64
    stem_kernel: int = 7
    stem_stride: int = 2
    stem_pool: int = 3
    form: str = "paper"

    @property
    def depths(self) -> tuple[int, ...]:
        """Poolings of the masks of each stage but the last."""
        halvings = [stride.bit_length() - 1 for stride in self.strides]
        following = tuple(sum(halvings[i:]) for i in range(1, len(halvings)))
        return self.depth_hourglass or following

    @property
    def trunk_depth(self) -> int:
        """Layers of the trunk as the paper counts: 36 m + 20 with m modules in each stage."""
        units = len(self.widths) + 2 + (2 * self.p + self.t) * sum(self.modules)
        return 3 * units + 2


def read_options(given: Mapping[str, Any]) -> Options:
    """Checked options.

    Raises:
        OptionError: one is unknown, is not of its type or range, or does not fit the others.
    """
    names = [field.name for field in fields(Options)]
    for name in given:
        if name not in names:
            close = get_close_matches(name, names, 1)
            refuse(NAME, f"there is no option {name!r}", ", ".join(close or names))
    read = Options(**{name: _check(name, value) for name, value in given.items()})
    stages = len(read.widths)
    for name, count in (
        ("strides", stages), ("modules", stages - 1), ("depth_hourglass", stages - 1),
    ):  # fmt: skip
        value = getattr(read, name)
        if len(value) != count and (value or name != "depth_hourglass"):
            refuse(NAME, f"{name}={list(value)} is not {count} numbers, with {stages} widths")
    return read


def _check(name: str, value: Any) -> Any:
    if name in CHOICES:
        return check_choice(NAME, name, value, CHOICES[name])
    if name in LEAST:
        return check_int(NAME, name, value, LEAST[name])
    if not isinstance(value, Sequence) or isinstance(value, str):
        refuse(NAME, f"{name}={value!r} is not a list of numbers")
    return tuple(check_int(NAME, name, each, LEAST_OF_EACH[name]) for each in value)
