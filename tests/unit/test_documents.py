"""What README.md and CONTRIBUTING.md say is so.

`python tests/unit/test_documents.py` writes the table of mechanisms in README.md, and
MECHANISMS.md, anew.
"""

from __future__ import annotations

import re
import tomllib
from itertools import groupby
from pathlib import Path

import pytest

from zoo.cli import COMMANDS
from zoo.documents import mechanisms
from zoo.registry import default_registry
from zoo.runtime.files import write_atomically

ROOT = Path(__file__).parents[2]
DOCUMENTS = {name: (ROOT / name).read_text("utf-8") for name in ("README.md", "CONTRIBUTING.md")}
TABLE = re.compile(r"(?<=\n)\| family \| mechanisms \|\n\|---.*\n(?:\|.*\n)*")


def table() -> str:
    """The mechanisms' names, a row for each family."""
    specs = sorted(default_registry().attentions.values(), key=lambda s: (s.family, s.name))
    rows = [
        f"| {family.replace('_', ' ')} | {', '.join(f'`{spec.name}`' for spec in members)} |\n"
        for family, members in groupby(specs, key=lambda s: s.family)
    ]
    return "| family | mechanisms |\n|---|---|\n" + "".join(rows)


def test_the_table_lists_every_mechanism() -> None:
    (written,) = TABLE.findall(DOCUMENTS["README.md"])
    assert written == table(), "run python tests/unit/test_documents.py"


def test_mechanisms_md_is_what_the_registry_and_a_measurement_say() -> None:
    written = (ROOT / "MECHANISMS.md").read_text("utf-8")
    assert written == mechanisms(default_registry()), "run python tests/unit/test_documents.py"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_that_are_mentioned_exist(name: str) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", DOCUMENTS[name], re.DOTALL)
    mentioned = set(re.findall(r"^(?:.*&& )?zoo (\w+)", "".join(blocks), re.MULTILINE))
    assert mentioned and mentioned <= set(COMMANDS)
    rules = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make (\w+)", "".join(blocks), re.MULTILINE)) <= rules


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_are_mentioned_exist(name: str) -> None:
    paths = re.findall(r"`((?:zoo|plugins|weights|tests|benchmarks)/[\w./-]+)`", DOCUMENTS[name])
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_constraints_pin_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    names = {re.split(r"[<>=\[ ]", line)[0] for line in wanted}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", line) for line in lines)
    assert names <= {line.partition("==")[0] for line in lines}


if __name__ == "__main__":
    readme = TABLE.sub(lambda _: table(), DOCUMENTS["README.md"])
    for name, text in {
        "README.md": readme,
        "MECHANISMS.md": mechanisms(default_registry()),
    }.items():
        write_atomically(ROOT / name, text.encode())
