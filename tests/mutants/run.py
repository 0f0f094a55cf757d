"""Change the code a little, one place at a time, and see whether a test fails.

    python tests/mutants/run.py --minutes 40 --share 0.3

`rooms.toml` names the modules, those where a wrong number would be silent, and the quick tests of
each. A comparison is turned or moved by one, + becomes - and * becomes /, a number grows by one, a
`not` or a keyword argument is left out, and a function returns None. Errors and their messages are
left as they are. `record.json` says of each mutant whether a test failed, in the order of the code;
a mutant that is in it is not tried again, unless its module has changed since; `--again` tries
those that survived.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).with_name("record.json")
OPTIONS = ("-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist")
SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.And: ast.Or,
    ast.Or: ast.And,
}  # fmt: skip
LEFT_ALONE = (ast.Raise, ast.Import, ast.ImportFrom, ast.arguments, ast.AnnAssign)
Change = tuple[ast.AST, Callable[[], None]]


def changes(node: ast.AST) -> Iterator[Change]:
    """(the expression or statement, what changes it) for each place below a node, in its order."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, LEFT_ALONE):
            continue
        yield from _of(child, node)
        if isinstance(child, ast.FunctionDef):  # neither decorators nor annotations
            for statement in child.body:
                yield from _of(statement, child)
                yield from changes(statement)
        else:
            yield from changes(child)


def _of(node: ast.AST, parent: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        yield node, lambda: node.ops.__setitem__(0, SWAPS[type(node.ops[0])]())
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in SWAPS:
        yield node, lambda: setattr(node, "op", SWAPS[type(node.op)]())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node, lambda: _replace(parent, node, node.operand)
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield node, lambda: setattr(node, "value", not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield node, lambda: setattr(node, "value", node.value + 1)
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            yield node, lambda keyword=keyword: node.keywords.remove(keyword)
    if isinstance(node, ast.Return) and node.value is not None:
        yield node, lambda: setattr(node, "value", ast.Constant(None))


def _replace(parent: ast.AST, old: ast.AST, new: ast.AST) -> None:
    for name, value in ast.iter_fields(parent):
        if value is old:
            setattr(parent, name, new)
        elif isinstance(value, list) and old in value:
            value[value.index(old)] = new


def mutant(source: str, number: int) -> tuple[str, ast.Module]:
    """What a mutant changes, in words, and the whole module with it."""
    tree = ast.parse(source)
    node, change = list(changes(tree))[number]
    old, line = ast.unparse(node), getattr(node, "lineno", 0)
    change()
    new = ast.unparse(tree) if isinstance(node, ast.UnaryOp) else ast.unparse(node)
    new = ast.unparse(node.operand) if isinstance(node, ast.UnaryOp) else new
    return f"{number}, line {line}: {old}  ->  {new}", ast.fix_missing_locations(tree)


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a changed tree, and all others as ever."""

    def __init__(self, name: str, file: Path, tree: ast.Module | None) -> None:
        self.name, self.file, self.tree = name, file, tree

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != self.name or self.tree is None:
            return None
        return importlib.util.spec_from_file_location(name, self.file, loader=self)

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: Any) -> None:
        assert self.tree is not None
        exec(compile(self.tree, str(self.file), "exec"), module.__dict__)


def survives(file: Path, tree: ast.Module | None, tests: list[str], seconds: int) -> bool:
    """Run the tests in a child process that imports the changed module; whether all pass."""
    assert not any(name == "zoo" or name.startswith("zoo.") for name in sys.modules)
    child = os.fork()
    if not child:
        code = 1
        try:
            for stream in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
            name = file.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
            sys.meta_path.insert(0, Mutated(name, file, tree))
            code = int(pytest.main([*OPTIONS, *tests]))
        finally:
            os._exit(code)
    return _status(child, time.monotonic() + seconds) == 0


def _status(child: int, end: float) -> int:
    """The status with which a child ended. A loop without an end is ended."""
    while True:
        process, status = os.waitpid(child, os.WNOHANG)
        if process:
            return status
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.02)


def room(
    name: str, tests: list[str], share: float, end: float, again: bool, kept: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Try a share of the mutants of one module, after it itself. It yields what is known then."""
    file = ROOT / name
    source = file.read_text("utf-8")
    digest = hashlib.sha256(source.encode()).hexdigest()
    results: dict[str, str] = kept.get("results", {}) if kept.get("sha256") == digest else {}
    count = len(list(changes(ast.parse(source))))
    chosen = random.Random(0).sample(range(count), max(1, round(share * count)))
    survivors = [_number(label) for label, result in results.items() if result == "survived"]
    chosen = survivors if again else chosen
    tried = set(map(_number, results)).difference(survivors if again else ())
    left = [number for number in chosen if number not in tried]
    start = time.monotonic()
    if left and not survives(file, None, tests, 900):
        raise SystemExit(f"{name}: its tests fail as it is: {' '.join(tests)}")
    patience = int(10 + 5 * (time.monotonic() - start))
    while left and time.monotonic() < end:
        label, tree = mutant(source, left.pop(0))
        results[label] = "survived" if survives(file, tree, tests, patience) else "killed"
        yield _summary(digest, count, results)
    yield _summary(digest, count, results)


def _summary(digest: str, count: int, results: dict[str, str]) -> dict[str, Any]:
    ordered = {label: results[label] for label in sorted(results, key=_number)}
    killed = sum(result == "killed" for result in ordered.values())
    return {"sha256": digest, "mutants": count, "tried": len(ordered), "killed": killed,
            "results": ordered}  # fmt: skip


def _number(label: str) -> int:
    """The number of the mutant that a label begins with."""
    return int(label.partition(",")[0])


def write(record: dict[str, Any]) -> None:
    """The record, whole or not at all. The zoo's own function would import the zoo."""
    scratch = RECORD.with_suffix(".tmp")
    scratch.write_text(f"{json.dumps(record, indent=1, ensure_ascii=False)}\n", "utf-8")
    scratch.replace(RECORD)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--share", type=float, default=1.0, help="of each module's mutants")
    parser.add_argument("--again", action="store_true", help="only those that survived")
    parser.add_argument("--only", default="", help="modules whose path contains this")
    settings = parser.parse_args()
    os.chdir(ROOT)
    end = time.monotonic() + 60 * settings.minutes
    rooms = tomllib.loads(Path(__file__).with_name("rooms.toml").read_text("utf-8"))
    for library in rooms["preload"]:  # once, for all children
        importlib.import_module(library)
    record = json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {}
    for name, tests in rooms["tests"].items():
        if settings.only in name and time.monotonic() < end:
            kept = record.get(name, {})
            for found in room(name, tests, settings.share, end, settings.again, kept):
                record[name] = found
                write(record)
            print(name, *(f"{found[key]} {key}," for key in ("mutants", "tried", "killed")))


if __name__ == "__main__":
    main()
