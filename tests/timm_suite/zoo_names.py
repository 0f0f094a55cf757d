"""A pytest plugin for timm's own test suite: its tests of models run on the zoo's names.

`python -m pytest -p zoo_names tests/test_models.py` in timm's sdist, with `ZOO_SUITE_NAMES` a list
of names. timm chooses models by `list_models`; here that chooses among the zoo's names, each by
what its backbone is in timm. Tests of timm's models by name, not of the zoo's, are left out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatch
from functools import cache
from typing import Any

import pytest
import timm
from timm.models import get_pretrained_cfg_value, is_model_in_modules

import zoo.timm_bridge
from zoo.registry import default_registry, names, timm_index

NAMES = tuple(os.environ["ZOO_SUITE_NAMES"].split())


@cache
def in_timm(name: str) -> str:
    """What timm's filters are to see of a name: the backbone, or for a network its own name.

    One that gives no map (B, C, H, W) is to be taken for what timm calls non-standard, as a vit is.
    """
    read = names.parse(name, default_registry())
    backbone = read.backbone or (read.spec.backbone if read.spec else "")
    if backbone in timm_index.architectures():
        return backbone
    return name if get_pretrained_cfg_value(name, "pool_size") else f"vit_{name}"


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
        if (not wanted or _matches(in_timm(name), wanted))
        and not _matches(in_timm(name), unwanted)
        and (not modules or _is_in(name, modules))
    ]  # fmt: skip


def _all(patterns: str | Sequence[str]) -> Sequence[str]:
    return ([patterns] if patterns else []) if isinstance(patterns, str) else patterns


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


@cache
def _gives_intermediates(name: str) -> bool:
    return hasattr(timm.create_model(name), "forward_intermediates")


def _is_in(name: str, modules: set[str]) -> bool:
    """timm asks for modules whose models have `forward_intermediates`."""
    if in_timm(name) in timm_index.architectures():
        return is_model_in_modules(in_timm(name), modules)
    return _gives_intermediates(name)


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
