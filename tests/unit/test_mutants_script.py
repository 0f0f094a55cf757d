"""The script of `make mutants` changes one place at a time, and no error or signature."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "mutants"
SOURCE = '''
def f(a: int = 1, *, b: int = 2) -> int:
    """Words."""
    if a < b and not a:
        raise ValueError(f"{a + 1}")
    return g(a * 2, key=-b)
'''
EXPECTED = {
    "a < b and (not a)  ->  a < b or not a", "a < b  ->  a <= b", "not a  ->  a",
    "return g(a * 2, key=-b)  ->  return None", "g(a * 2, key=-b)  ->  g(a * 2)",
    "a * 2  ->  a / 2", "2  ->  3", "-b  ->  b",
}  # fmt: skip


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import run

    yield run
    del sys.modules["run"]


def test_each_place_is_changed_once_and_alone(script) -> None:
    count = len(list(script.changes(ast.parse(SOURCE))))
    made = [script.mutant(SOURCE, number) for number in range(count)]
    assert {label.partition(": ")[2] for label, _ in made} == EXPECTED and count == len(EXPECTED)
    texts = {ast.unparse(tree) for _, tree in made}
    assert len(texts) == count and ast.unparse(ast.parse(SOURCE)) not in texts
    assert all("raise ValueError(f'{a + 1}')" in text for text in texts)
