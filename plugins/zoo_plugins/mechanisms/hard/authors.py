"""Settings of authors' code for glimpses, read as options. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo_plugins.mechanisms.settings import refuse, whole

BRANCHES = ("glimpse_hidden", "location_hidden")


def glimpse_sensor(options: Mapping[str, Any]) -> dict[str, Any]:
    """`out_dim` is the sum of both branches' widths, and says nothing that they do not say."""
    found = dict(options)
    total = found.pop("out_dim", None)
    if total is not None:
        widths = [whole("glimpse_sensor", name, found.get(name, 128)) for name in BRANCHES]
        if sum(widths) != total:
            refuse(
                "glimpse_sensor",
                f"out_dim={total!r} and {' + '.join(BRANCHES)}={widths[0]} + {widths[1]} "
                "contradict each other",
                "leave out_dim= out",
            )
    return found
