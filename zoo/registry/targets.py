"""Targets are strings `"package.module:attribute"`. They are imported when first built, and checked
before.
"""

from __future__ import annotations

import ast
import pkgutil
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from zoo.errors import PluginError


def resolve(target: str, owner: str) -> Any:
    """The class or function that `target` names.

    Raises:
        PluginError: there is none; the message names the plugin, `owner`.
    """
    try:
        found = pkgutil.resolve_name(target)
        if not callable(found):
            raise TypeError(f"a {type(found).__name__} cannot be called")
        return found
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"target {target!r} cannot be resolved: {type(error).__name__}: {error}",
            where=owner,
            remedy="zoo plugins",
        ) from error


def missing_attribute(target: str) -> str:
    """Why `target` cannot exist, or an empty string. The source is read, and the module is not
    imported.

    Only parent packages are imported, which as a rule is the plugin itself. A module that is not
    Python source, or that fills itself at run time, is believed.
    """
    module, _, attribute = target.partition(":")
    try:
        spec = find_spec(module)
    except (Exception, SystemExit) as error:
        return f"module {module} of target {target!r} cannot be found ({error})"
    if spec is None:
        return f"there is no module {module} (target {target!r})"
    if spec.origin is None or not spec.origin.endswith(".py"):
        return ""
    root = attribute.split(".")[0]
    try:
        if root in _plain_definitions(spec.origin):
            return ""
        names = _top_level_names(spec.origin)
    except (OSError, SyntaxError, ValueError) as error:
        return f"module {module} cannot be read: {error} (target {target!r})"
    if names is None or root in names:
        return ""
    return f"module {module} has no {root} (target {target!r})"


_DEFINITION = re.compile(r"^(?:class|def)[ ]+(\w+)", re.MULTILINE)


@cache
def _plain_definitions(path: str) -> frozenset[str]:
    """Names that are defined as nearly all are: seen without parsing, which would take longer."""
    return frozenset(_DEFINITION.findall(Path(path).read_text(encoding="utf-8", errors="replace")))


@cache
def _top_level_names(path: str) -> frozenset[str] | None:
    """Names bound anywhere in a module, or None where they cannot be known."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(Path(path).read_bytes())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and (
            isinstance(node.ctx, ast.Store) or node.id in ("globals", "setattr")
        ):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
    fills_itself = {"*", "__getattr__", "globals", "setattr"} & names
    return None if fills_itself else frozenset(names)
