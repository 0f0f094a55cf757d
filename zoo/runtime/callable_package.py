"""A package that can be called as the function that it is about: `zoo.export(model, path)`.

Importing any module of a package puts the package into its parent's namespace, where it would hide
a function of the same name. So the package itself is what is called.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class CallablePackage(ModuleType):
    """A package with a function, imported when it is first called."""

    _zoo_function: str

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        module, _, name = self._zoo_function.partition(":")
        return getattr(import_module(module), name)(*args, **keywords)


def make_callable(package: str, function: str) -> None:
    """Let a package be called as `function` ("package.module:name")."""
    module = sys.modules[package]
    module.__class__ = CallablePackage
    vars(module)["_zoo_function"] = function
