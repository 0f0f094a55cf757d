"""Settings of authors' code for attention learned by reinforcement, read as options. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from zoo_plugins.mechanisms.settings import refuse, whole


def dasnet(options: Mapping[str, Any]) -> dict[str, Any]:
    """`default_population` repeats the rule of the population's size, and must be what it gives."""
    found = dict(options)
    stated = found.pop("default_population", None)
    if stated is not None:
        count = found.get("num_params")
        if count is None:
            count = whole("dasnet", "channels", found.get("channels")) ** 2
        rule = 4 + math.floor(3 * math.log(whole("dasnet", "num_params", count)))
        if stated != rule:
            refuse(
                "dasnet",
                f"default_population={stated!r} and num_params={count} contradict each other",
                f"population={stated!r} sets it; the rule gives {rule}",
            )
    return found
