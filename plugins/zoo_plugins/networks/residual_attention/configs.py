"""Settings in the words of the authors' prototxts and of the port. No torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from zoo.sdk.options import agree, refuse

NAME = "residual_attention"
CIFAR_PORT: dict[str, Any] = {
    "form": "tengshaofeng", "modules": (1, 2, 3), "widths": (128, 256, 512, 1024),
    "stem_width": 32, "depth_hourglass": (),
}  # fmt: skip


def read_config(
    unit: str | None = None,
    groups: int | None = None,
    stem: str | None = None,
    stem_width: int | None = None,
    sizes: Sequence[int] | None = None,
    widths: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
    variant: str | None = None,
    *,
    cifar: bool = False,
) -> dict[str, Any]:
    """What the settings mean as options of the network.

    Args:
        unit: also `resnext_32x4d`: groups, and channels of each where the map has 256.
        stem: in words, as `3x3 32ch no pool` or `7x7/2 64ch pool 3`.
        sizes: of the stages' maps, for the strides between them.
        variant: for the CIFAR networks `tengshaofeng` is the port's network, with its widths.
        cifar: whether this is such a network.
    """
    found: dict[str, Any] = {}
    if cifar and (variant == "tengshaofeng" or (stem is not None and sizes is not None)):
        found = dict(CIFAR_PORT)
    if variant is not None:
        found["form"] = variant
    found |= _unit(unit, groups)
    found |= _stem(stem, stem_width)
    strides_of_sizes = None if sizes is None else (sizes, _strides(sizes))
    given = {
        "widths": widths,
        "strides": agree(
            NAME,
            strides=None if strides is None else (strides, tuple(strides)),
            sizes=strides_of_sizes,
        ),
    }
    return found | {name: value for name, value in given.items() if value is not None}


read_cifar_config = partial(read_config, cifar=True)


def _unit(unit: str | None, groups: int | None) -> dict[str, Any]:
    words = re.fullmatch(r"resnext_(\d+)x(\d+)d", str(unit))
    if words is None:
        given = {"unit": unit, "groups": groups}
        return {name: value for name, value in given.items() if value is not None}
    if int(words[1]) * int(words[2]) != 128:
        refuse(NAME, f"unit={unit!r} has no 128 hidden channels for 256", "unit='resnext_32x4d'")
    return {"unit": "resnext", "groups": agree(NAME, unit=(unit, int(words[1])), groups=groups)}


def _stem(stem: str | None, width: int | None) -> dict[str, Any]:
    if stem is None:
        return {} if width is None else {"stem_width": width}
    words = re.fullmatch(r"(\d+)x\1(?:/(\d))? (?:(\d+)ch )?(?:no pool|pool (\d)\S*)", stem)
    if words is None:
        refuse(NAME, f"stem={stem!r} cannot be read", "stem='3x3 32ch no pool'")
    size, stride, channels, pool = (None if n is None else int(n) for n in words.groups())
    width = agree(NAME, stem=None if channels is None else (stem, channels), stem_width=width)
    found = {"stem_kernel": size, "stem_stride": stride or 1, "stem_pool": pool or 0}
    return found if width is None else {**found, "stem_width": width}


def _strides(sizes: Sequence[int]) -> tuple[int, ...]:
    pairs = zip(sizes, sizes[1:], strict=False)
    return (1, *(round(before / after) for before, after in pairs))
