"""What a mechanism is, in one line, from the docstring in its source. Nothing is imported."""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_CITATION = re.compile(r"\s*\((?=[^()]*\b(?:19|20|arXiv)[^()]*)[^()]*(?:\([^()]*\)[^()]*)*(?:\)|$)")
_SAME = re.compile(r".*-> the same (?:shape|size)[,;:] (?=each |scaled |resampled |the )")
_SHAPES = re.compile(r": \(B, .*")


def summary(target: str, *, alone: bool = True) -> str:
    """What `package.module:Class` is, by the first lines of its docstrings; empty if it has none.

    Args:
        target: the class, `"package.module:Class"`.
        alone: whether the module offers nothing else. Then the module's docstring says what it is,
            without the citation, and that of the class what it does to a map. Otherwise the
            docstring of the class says everything.
    """
    module, _, name = target.partition(":")
    text = _source(module)
    starts = (text.find(f"\n{word} {name}{end}") for word in ("class", "def") for end in "(:")
    of_class = _first_line(text, max(starts))
    does = _SAME.sub("", of_class) if _SAME.match(of_class) else ""
    if not alone:
        line = _ended(does or _SHAPES.sub("", of_class))
        return line[:1].upper() + line[1:]
    title = _ended(_CITATION.sub("", _first_line(text, 0)))
    return f"{title}: {_ended(does)}" if title and does and ":" not in title else title


def _first_line(text: str, start: int) -> str:
    """Of the first docstring after `start`, if that is a place in the text."""
    quotes = text.find('"""', start) if start >= 0 else -1
    return text[quotes + 3 :].partition("\n")[0].removesuffix('"""') if quotes >= 0 else ""


def _ended(line: str) -> str:
    return line.strip().rstrip(".")


@cache
def _source(module: str) -> str:
    try:
        return Path(_file(module)).read_text("utf-8")
    except (OSError, ValueError):  # not Python source
        return ""


def _file(module: str) -> str:
    """Where the source lies; asking the parent package is much cheaper than `find_spec`."""
    parent, _, name = module.rpartition(".")
    for folder in getattr(sys.modules.get(parent), "__path__", ()):
        if Path(folder, f"{name}.py").is_file():
            return str(Path(folder, f"{name}.py"))
    try:
        spec = find_spec(module)
    except (Exception, SystemExit):  # a parent package that cannot be imported
        return ""
    return spec.origin or "" if spec else ""
