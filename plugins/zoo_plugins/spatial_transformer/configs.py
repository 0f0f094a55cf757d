"""timm's `img_size` for `image_size`, as keywords of the networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo_plugins.common.map_size import size_pair
from zoo_plugins.common.options import agree

Size = int | Sequence[int]


def read_size(img_size: Size | None = None, image_size: Size | None = None) -> dict[str, Any]:
    """Both names of the image's size, which must agree."""
    given = {"img_size": img_size, "image_size": image_size}
    pairs = {
        name: (value, size_pair("image", name, value))
        for name, value in given.items()
        if value is not None
    }
    size = agree("image", **pairs)
    return {} if size is None else {"img_size": size, "image_size": size}
