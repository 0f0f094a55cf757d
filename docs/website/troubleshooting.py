"""The page of errors, from their own texts: their docstrings, and the messages in the source."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

from zoo import errors

from .equations import plain, words
from .html import table

ROOT = Path(__file__).parents[2]
HEAD = """\
---
title: Troubleshooting
---

# Troubleshooting

Every error of the zoo says what is wrong, where, and the call that mends it. This page is written
from the errors themselves: what each class means, its messages as they stand in the source, and
what they advise. An ellipsis stands for what depends on the case. All are a `zoo.ZooError`; on the
command line the exit code is that of the class.
"""


def page() -> str:
    """The page as Markdown."""
    found = messages()
    return "\n\n".join([HEAD, *(_section(kind, found[kind.__name__]) for kind in classes())]) + "\n"


def classes() -> list[type]:
    """The classes of errors and warnings, in the order of their module."""
    found = filter(inspect.isclass, vars(errors).values())
    return [each for each in found if each.__module__ == errors.__name__]


def messages() -> dict[str, list[tuple[str, str]]]:
    """(what, remedy) of every call of an error's class in the source of the machinery."""
    found: dict[str, set[tuple[str, str]]] = {kind.__name__: set() for kind in classes()}
    for file in sorted((ROOT / "zoo").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                what = text_of(node.args[0])
                if what and node.func.id in found:
                    found[node.func.id].add((what, _remedy(node)))
    return {name: sorted(rows) for name, rows in found.items()}


def _remedy(call: ast.Call) -> str:
    return next((text_of(k.value) for k in call.keywords if k.arg == "remedy"), "")


def text_of(node: ast.expr) -> str:
    """A string of the source, with an ellipsis for what is put into it; empty if it is none."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        parts = [v.value if isinstance(v, ast.Constant) else "…" for v in node.values]
        return "".join(map(str, parts)).strip(" …") and "".join(map(str, parts))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = text_of(node.left), text_of(node.right)
        return "".join(side or "…" for side in sides) if any(sides) else ""
    if isinstance(node, ast.IfExp):
        return text_of(node.body) or text_of(node.orelse)
    return ""


def _section(kind: type, rows: list[tuple[str, str]]) -> str:
    text = " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())
    code = getattr(kind, "exit_code", None)
    said = f"<p>{words(text)}{f' Exit code {code}.' if code else ''}</p>"
    body = table(("message", "what it advises"), [(plain(w), plain(r)) for w, r in rows])
    return f"## {kind.__name__}\n\n{said}\n\n{body if rows else ''}"
