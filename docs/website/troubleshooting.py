"""The page of errors, from their own texts: their docstrings, and the messages in the source."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from zoo import errors

from .equations import plain, words
from .html import table

ROOT = Path(__file__).parents[2]
DEF = (ast.FunctionDef, ast.AsyncFunctionDef)
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
    """(what, remedy) of every error that the source of the machinery makes, by its class."""
    found: dict[str, set[tuple[str, str]]] = {kind.__name__: set() for kind in classes()}
    trees = [ast.parse(f.read_text("utf-8")) for f in sorted((ROOT / "zoo").rglob("*.py"))]
    makers = {name: name for name in found} | _helpers(trees, found.keys())
    for function in (node for tree in trees for node in ast.walk(tree) if isinstance(node, DEF)):
        known = _texts(function)
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            kind = makers.get(_called(call))
            what = text_of(call.args[0], known) if kind and call.args else ""
            if kind and what:
                found[kind].add((what, _remedy(call, known)))
    return {name: sorted(rows) for name, rows in found.items()}


def _helpers(trees: Iterable[ast.Module], kinds: Collection[str]) -> dict[str, str]:
    """Functions that return an error, as their annotation says, and its class."""
    functions = (n for tree in trees for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))
    found = {f.name: f.returns.id for f in functions if isinstance(f.returns, ast.Name)}
    return {name: kind for name, kind in found.items() if kind in kinds}


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _texts(function: ast.AST) -> dict[str, str]:
    """The strings that a function gives names to."""
    return {
        node.targets[0].id: text_of(node.value)
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def _remedy(call: ast.Call, known: Mapping[str, str]) -> str:
    return next((text_of(k.value, known) for k in call.keywords if k.arg == "remedy"), "")


def text_of(node: ast.expr, known: Mapping[str, str] = MappingProxyType({})) -> str:
    """A string of the source, with an ellipsis for what is put into it; empty if it is none.

    Args:
        known: strings by the names that stand for them.
    """
    if isinstance(node, ast.Name):
        return known.get(node.id, "")
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        parts = [v.value if isinstance(v, ast.Constant) else "…" for v in node.values]
        return "".join(map(str, parts)).strip(" …") and "".join(map(str, parts))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = text_of(node.left, known), text_of(node.right, known)
        return "".join(side or "…" for side in sides) if any(sides) else ""
    if isinstance(node, ast.IfExp):
        return text_of(node.body, known) or text_of(node.orelse, known)
    return ""


def _section(kind: type, rows: list[tuple[str, str]]) -> str:
    text = " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())
    code = getattr(kind, "exit_code", None)
    ends = f" The exit code is {code}." if code and "exit code" not in text else ""
    said = f"<p>{words(text)}{ends}</p>"
    body = table(("message", "what it advises"), [(plain(w), plain(r)) for w, r in rows])
    return f"## {kind.__name__}\n\n{said}\n\n{body if rows else ''}"
