"""Settings of authors' code for memory and sequences, read as options. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo_plugins.mechanisms.settings import imply, refuse, whole


def s3ta(options: Mapping[str, Any]) -> dict[str, Any]:
    """`key_dim` and `value_dim` as the channels, and `height` and `width` as `feat_size`."""
    name, found = "s3ta", dict(options)
    values, keys = found.pop("value_dim", None), found.get("key_dim")
    if values is not None:
        values = whole(name, "value_dim", values)
        if keys is None:
            found["key_dim"] = whole(name, "channels", found.get("channels", 128)) - values
        else:
            total = whole(name, "key_dim", keys) + values
            imply(name, found, f"key_dim={keys}, value_dim={values}", "channels", total)
    sides = [found.pop(side, None) for side in ("height", "width")]
    if None not in sides:
        height, width = (whole(name, "height, width", side) for side in sides)
        imply(name, found, f"height={height}, width={width}", "feat_size", (height, width))
    elif sides != [None, None]:
        refuse(name, "height and width are given together or not at all", "feat_size=(7, 7)")
    return found


def show_attend_tell(options: Mapping[str, Any]) -> dict[str, Any]:
    """The form, from settings that only the tutorial states: `bias`, and `height` and `width`.

    They are the sides of the tutorial's map; a map of any other size is taken as well.
    """
    found = dict(options)
    sides = [found.pop(side, None) for side in ("height", "width")]
    for side in sides:
        if side is not None:
            whole("show_attend_tell", "height, width", side)
    if found.get("bias") is not None or sides != [None, None]:
        found["variant"] = found.get("variant") or "tutorial"
    return {key: value for key, value in found.items() if value is not None or key == "gate"}
