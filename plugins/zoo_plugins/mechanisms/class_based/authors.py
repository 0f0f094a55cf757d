"""Settings of authors' code for class-based attention, read as options. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from zoo_plugins.mechanisms.settings import imply, refuse, whole


def acf(options: Mapping[str, Any]) -> dict[str, Any]:
    """`bias` is a name of the port: where it is given and no variant is, the port is meant."""
    found = {name: value for name, value in options.items() if value is not None}
    return {"variant": "port", **found} if "bias" in found else found


def xslot(options: Mapping[str, Any]) -> dict[str, Any]:
    """`num_slots`, of all classes together, and a position code that is stated in words."""
    found = dict(options)
    slots = found.pop("num_slots", None)
    if slots is not None:
        slots, classes = (
            whole("xslot", "num_slots", slots),
            whole("xslot", "num_classes", found.get("num_classes", 10)),
        )
        if slots % classes:
            refuse("xslot", f"num_slots={slots} is no multiple of num_classes={classes}")
        imply("xslot", found, f"num_slots={slots}", "slots_per_class", slots // classes)
    words = found.get("position")
    if isinstance(words, str) and words.startswith("sine, "):
        found["position"], stated = "sine", re.search(r"temperature (\d+(\.\d+)?)", words)
        if stated:
            imply("xslot", found, f"position={words!r}", "temperature", float(stated[1]))
    return found
