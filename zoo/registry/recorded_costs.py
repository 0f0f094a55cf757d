"""What a mechanism or a model costs, as `zoo.build.costs` counted it once. No torch is imported.

The record is the file `costs.json` in the top package of the plugin that states the mechanism. A
plugin need not have one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from zoo.registry import Registry
from zoo.registry.specs import AttentionSpec, ModelSpec


def recorded_cost(spec: AttentionSpec | ModelSpec, registry: Registry) -> Mapping[str, Any] | None:
    """The `parameters`, the `multiplications` of one forward pass, and the `input_size` of both.

    For a model, the input is one image of its own size. For a mechanism it is one map (256, 28,
    28), or as many tokens, and `bytes` are the least that must be moved. The result is None where
    nothing is recorded.
    """
    kind = "attentions" if isinstance(spec, AttentionSpec) else "models"
    return _table(registry.package(spec)).get(kind, {}).get(spec.name)


@cache
def _table(package: str) -> Mapping[str, Mapping[str, Any]]:
    for folder in getattr(sys.modules.get(package), "__path__", ()):
        try:
            return json.loads(Path(folder, "costs.json").read_bytes())
        except (OSError, ValueError):  # none, or not one of ours
            continue
    return {}
