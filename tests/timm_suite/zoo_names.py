"""A pytest plugin for timm's own test suite: its tests of models run on the zoo's names.

`python -m pytest -p zoo_names tests/test_models.py` in timm's sdist, with `ZOO_SUITE_NAMES` a list
of names. timm chooses models by `list_models`; here that chooses among the zoo's names, each by
what its backbone is in timm. Tests of timm's models by name, not of the zoo's, are left out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatch
from typing import Any

import pytest
import timm
from timm.models import is_model_in_modules

import zoo.timm_bridge
from zoo import names
from zoo.registry import default_registry

NAMES = tuple(os.environ["ZOO_SUITE_NAMES"].split())


def backbone_of(name: str) -> str:
    """timm's name of what the model is built on, or its own name if it is built on none."""
    read = names.parse(name, default_registry())
    return read.backbone or (read.spec.backbone if read.spec else "") or name


def chosen(
    filter: str | Sequence[str] = "",
    module: str | Sequence[str] = "",
    pretrained: bool = False,
    exclude_filters: str | Sequence[str] = "",
    **_: Any,
) -> list[str]:
    """timm's `list_models`, over the zoo's names. None has timm's pretrained weights."""
    wanted, unwanted, modules = _all(filter), _all(exclude_filters), set(_all(module))
    return [] if pretrained else [
        name for name in NAMES
        if (not wanted or _matches(backbone_of(name), wanted))
        and not _matches(backbone_of(name), unwanted)
        and (not modules or _is_in(backbone_of(name), modules))
    ]  # fmt: skip


def _all(patterns: str | Sequence[str]) -> Sequence[str]:
    return ([patterns] if patterns else []) if isinstance(patterns, str) else patterns


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _is_in(name: str, modules: set[str]) -> bool:
    """Networks of the zoo's own are in none of timm's modules: all are tried."""
    return is_model_in_modules(name, modules) or is_model_in_modules(name, {"timm_bridge"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what is parametrised by one of the zoo's names."""
    items[:] = [
        item for item in items
        if getattr(getattr(item, "callspec", None), "params", {}).get("model_name") in NAMES
    ]  # fmt: skip


for each in NAMES:
    zoo.timm_bridge.register(each)
timm.list_models = chosen
timm.list_pretrained = lambda *_, **__: []
