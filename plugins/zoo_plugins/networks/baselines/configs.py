"""Settings of the networks as keywords of `create_model`. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.sdk.map_size import size_pair
from zoo.sdk.options import agree

Size = int | Sequence[int]


def read_size(img_size: Size | None = None, image_size: Size | None = None) -> dict[str, Any]:
    """timm's `img_size` and the reference's `image_size`, which must agree."""
    given = {"img_size": img_size, "image_size": image_size}
    pairs = {k: (v, size_pair("image", k, v)) for k, v in given.items() if v is not None}
    size = agree("image", **pairs)
    return {} if size is None else {"img_size": size}


def digit_heads(
    img_size: Size | None = None,
    image_size: Size | None = None,
    digits: int | None = None,
    digit_classes: int | None = None,
) -> dict[str, Any]:
    """Size and heads; the number of classes follows from the heads."""
    return {**read_size(img_size, image_size), **_heads(0, digits, digit_classes)}


def cnn11_heads(
    img_size: Size | None = None,
    image_size: Size | None = None,
    digits: int | None = None,
    digit_classes: int | None = None,
    length_classes: int | None = None,
) -> dict[str, Any]:
    """Size and heads; the number of classes follows from the heads."""
    lengths = 7 if length_classes is None else length_classes
    heads = _heads(lengths, digits, digit_classes, changed=length_classes is not None)
    if length_classes is not None:
        heads["length_classes"] = length_classes
    return {**read_size(img_size, image_size), **heads}


def _heads(
    lengths: int, digits: int | None, digit_classes: int | None, changed: bool = False
) -> dict[str, Any]:
    found = {"digits": digits, "digit_classes": digit_classes}
    found = {name: value for name, value in found.items() if value is not None}
    if not found and not changed:
        return {}
    classes = lengths + found.get("digits", 5) * found.get("digit_classes", 11)
    return {**found, "num_classes": classes}
