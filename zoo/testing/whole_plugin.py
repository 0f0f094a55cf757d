"""The check of a whole plugin: it is light to import, has no problems, and its targets exist."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

from zoo.registry import Registry, default_registry
from zoo.registry.plugins import Plugin
from zoo.registry.specs import AttentionSpec
from zoo.registry.targets import resolve

HEAVY = ("torch", "timm")


def check_plugin_with(plugin: ModuleType | str, check: Callable[[AttentionSpec], None]) -> None:
    """Do what `zoo.testing.check_plugin` does, with `check` run on each attention."""
    name = plugin if isinstance(plugin, str) else plugin.__name__
    check_import_is_light(name)
    row = _row(import_module(name) if isinstance(plugin, str) else plugin)
    if row.problems:
        raise AssertionError(f"plugin {row.name}: {'; '.join(row.problems)}")
    for hook in ("zoo_attentions", "zoo_backbones", "zoo_models", "zoo_datasets"):
        for spec in row.call(hook):
            if spec.target:
                resolve(spec.target, f"plugin {row.name}")
    for spec in row.call("zoo_attentions"):
        check(spec)


def check_import_is_light(module: str) -> None:
    """Importing the module in a fresh interpreter imports neither torch nor timm."""
    code = f"import sys, {module}; print(*sorted({set(HEAVY)!r} & sys.modules.keys()))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{module} cannot be imported: {done.stderr.strip()[-800:]}")
    if heavy := done.stdout.strip():
        raise AssertionError(f"importing {module} imports {heavy}: name targets as strings instead")


def _row(module: ModuleType) -> Plugin:
    for row in default_registry().plugins:
        if row.module is module:
            return row
    return Registry(plugins=[module]).plugins[-1]
