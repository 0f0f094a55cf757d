"""What the tutorials show runs, and every command that a page names exists."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

import zoo
from zoo.cli import COMMANDS, cli

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
TUTORIALS = {file.stem: file.read_text("utf-8") for file in (ROOT / "docs/tutorials").glob("*.md")}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITH_PYTHON = sorted(name for name, text in TUTORIALS.items() if "```python" in text)


@pytest.mark.parametrize("name", WITH_PYTHON)
def test_a_tutorial_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", TUTORIALS[name], re.DOTALL)
    exec(compile("".join(blocks), f"docs/tutorials/{name}.md", "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_its_commands_and_their_options_exist(page: Path) -> None:
    shell = "".join(re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL))
    for line in re.findall(r"^zoo (\w.*)$", shell.replace("\\\n", " "), re.MULTILINE):
        words = line.partition(" #")[0].split()
        assert words[0] in COMMANDS, line
        known = "".join(_help(*words[:count]) for count in (1, 2))
        assert all(option in known for option in words if option.startswith("--")), line
        recipes = re.findall(r"--recipe (\w+)(?![\w.])", line)
        assert all(recipe in zoo.list_recipes() for recipe in recipes), line


@cache
def _help(*words: str) -> str:
    """What a command, or one of a group, says of its options."""
    return CliRunner().invoke(cli, [*words, "--help"]).output


def test_publishing_can_be_tried_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (line,) = re.findall(r"^zoo (push ram_mnist .*)$", TUTORIALS["publish"], re.MULTILINE)
    done = CliRunner().invoke(cli, line.split())
    assert done.exit_code == 0, done.output
    assert {"README.md", "config.json", "model.safetensors"} <= {
        file.name for file in (tmp_path / "package").iterdir()
    }
