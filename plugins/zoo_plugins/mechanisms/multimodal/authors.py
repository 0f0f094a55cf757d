"""Settings of authors' code for attention between two inputs, read as options. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from zoo_plugins.mechanisms.settings import imply, refuse, whole

PORT_ONLY = (
    "depth", "self_per_cross", "weight_tie", "max_freq",
    "head_dim", "cross_head_dim", "latent_head_dim",
)  # fmt: skip
OFFICIAL_ONLY = (
    "feat_size", "num_blocks", "self_per_block", "cross_ff_mult", "qk_channels", "v_channels",
)  # fmt: skip


def cross_attention_network(options: Mapping[str, Any]) -> dict[str, Any]:
    """`height` and `width`, or `num_positions` alone, as `feat_size`."""
    name, found = "cross_attention_network", dict(options)
    sides = [found.pop(side, None) for side in ("height", "width")]
    count = found.pop("num_positions", None)
    given = [side for side in sides if side is not None]
    if given:
        height, width = (whole(name, "height, width", side or given[0]) for side in sides)
        imply(name, found, f"height, width={height}, {width}", "feat_size", (height, width))
    if count is not None:
        count, size = whole(name, "num_positions", count), found.setdefault("feat_size", (count, 1))
        sides = (size, size) if isinstance(size, int) else tuple(size)
        if math.prod(sides) != count:
            refuse(name, f"feat_size={size!r} and num_positions={count} contradict each other")
    return found


def x_linear(options: Mapping[str, Any]) -> dict[str, Any]:
    """`head_dim`, the width of a head, as a number of heads."""
    found = dict(options)
    width, dim = found.pop("head_dim", None), found.get("dim")
    if width is not None:
        width, dim = whole("x_linear", "head_dim", width), whole("x_linear", "dim", dim)
        if dim % width:
            refuse("x_linear", f"dim={dim} is not divisible by head_dim={width}")
        imply("x_linear", found, f"head_dim={width}", "num_heads", dim // width)
    return found


def perceiver(options: Mapping[str, Any]) -> dict[str, Any]:
    """The names of either code; where no variant is stated, a name that only one has decides."""
    found = {name: value for name, value in options.items() if value is not None}
    port = [name for name in PORT_ONLY if name in found]
    official = [name for name in OFFICIAL_ONLY if name in found]
    if "variant" not in found and port:
        if official:
            refuse(
                "perceiver",
                f"{port[0]} is of lucidrains' Perceiver, {official[0]} of the official one",
                "variant= decides which of the two it is",
            )
        found["variant"] = "lucidrains"
    for theirs, ours in (("depth", "num_blocks"), ("self_per_cross", "self_per_block")):
        if theirs in found:
            value = found.pop(theirs)
            imply("perceiver", found, f"{theirs}={value!r}", ours, value)
    for theirs, (ours, heads, number) in HEADS.items():
        if theirs in found:
            width = whole("perceiver", theirs, found.pop(theirs))
            number = whole("perceiver", heads, found.get(heads, number))
            imply("perceiver", found, f"{theirs}={width}", ours, width * number)
    return found


HEADS = {  # the width of one head: that of all, the number of heads, and its default
    "head_dim": ("qk_channels", "cross_heads", 1),
    "cross_head_dim": ("qk_channels", "cross_heads", 1),
    "latent_head_dim": ("latent_channels", "latent_heads", 8),
}
