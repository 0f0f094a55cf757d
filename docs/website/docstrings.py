"""The docstring of a mechanism's file as HTML: its equations set, its words as they are."""

from __future__ import annotations

import ast
import re
from itertools import groupby
from pathlib import Path

from zoo.registry.summary import _file

from .equations import block, words

ITEM = re.compile(r"^- ", re.MULTILINE)


def source_file(target: str) -> Path:
    """Where the code of a target lies."""
    return Path(_file(target.partition(":")[0]))


def head(target: str) -> str:
    """The docstring at the head of a target's file."""
    return ast.get_docstring(ast.parse(source_file(target).read_text("utf-8"))) or ""


def html(text: str) -> str:
    """A docstring as HTML, without its first line, which is the title of a page."""
    _, _, body = text.partition("\n")
    parts: list[str] = []
    for is_equation, lines in groupby(body.splitlines(), key=_is_equation):
        given = list(lines)
        parts += [block(given)] if is_equation else _paragraphs(given)
    return "\n".join(parts)


def _is_equation(line: str) -> bool:
    return line.startswith("    ")


def _paragraphs(lines: list[str]) -> list[str]:
    filled = ("\n".join(group) for empty, group in groupby(lines, lambda x: not x) if not empty)
    return [_list(text) if ITEM.match(text) else f"<p>{words(text)}</p>" for text in filled]


def _list(text: str) -> str:
    items = (item.strip() for item in ITEM.split(text) if item.strip())
    return f"<ul>{''.join(f'<li>{words(item)}</li>' for item in items)}</ul>"
