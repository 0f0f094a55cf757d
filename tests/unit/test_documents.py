"""What README.md and CONTRIBUTING.md say is so.

`python tests/unit/test_documents.py` writes the table of mechanisms in README.md, and
MECHANISMS.md, anew.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from zoo.catalogue import goes_into_backbones
from zoo.cli import COMMANDS
from zoo.documents import checked_against, mechanisms
from zoo.files import write_atomically
from zoo.registry import default_registry
from zoo.specs import AttentionSpec

ROOT = Path(__file__).parents[2]
DOCUMENTS = {name: (ROOT / name).read_text("utf-8") for name in ("README.md", "CONTRIBUTING.md")}
TABLE = re.compile(r"(?<=\n)\| family \|.*\n\|---.*\n(?:\|.*\n)*")
HEAD = "| family | name | in a backbone | paper | checked against |\n|---|---|---|---|---|\n"
PLACES = {
    ("refine", "block"): "each block",
    ("refine", "stage"): "each stage",
    ("refine", "between_stages"): "between stages",
    ("replace_conv", "block"): "for the blocks' convolution",
    ("replace_mixer", "block"): "for the token mixer",
}


def table() -> str:
    """The table of mechanisms, by family and name."""
    specs = default_registry().attentions.values()
    return HEAD + "".join(sorted(map(row, specs)))


def row(spec: AttentionSpec) -> str:
    """A mechanism's line of the table."""
    assert spec.paper is not None
    names = ", ".join(f"`{name}`" for name in (spec.name, *spec.aliases))
    place = PLACES[spec.role, spec.placement] if goes_into_backbones(spec) else "on its own"
    title = f"[{spec.paper.title}]({spec.paper.url})" if spec.paper.url else spec.paper.title
    paper = f"{title}, {spec.paper.venue} {spec.paper.year}"
    cells = (spec.family.replace("_", " "), names, place, paper, checked_against(spec))
    return f"| {' | '.join(cells)} |\n"


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
