"""Modules under the names that they had in earlier versions.

Pickles and checkpoints name the modules of their classes. Where a module has moved, its old name
still leads to it. Nothing is loaded twice, and nothing is loaded before it is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, cast


class Moved:
    """Finds modules by their old names. Of several prefixes of a name, the longest counts."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self.places = places

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, cast(Any, self)) if self.new_name(fullname) else None

    def new_name(self, name: str) -> str:
        """Where the module is now; an empty string if it has not moved."""
        head, tail = name, ""
        while head:
            if head in self.places:
                return self.places[head] + tail
            head, _, last = head.rpartition(".")
            tail = f".{last}{tail}"
        return ""

    def create_module(self, spec: ModuleSpec) -> None:
        """An empty module will do: the real one takes its place."""

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = import_module(self.new_name(module.__name__))


def find_moved(places: Mapping[str, str]) -> None:
    """Let modules be found by these old names too. `places` maps an old name to the new one."""
    sys.meta_path.insert(0, Moved(places))  # first: a parent that moved would find a second copy
