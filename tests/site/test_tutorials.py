"""What the tutorials show runs, and their commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import zoo
from zoo.cli import COMMANDS, cli

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
TUTORIALS = {file.stem: file.read_text("utf-8") for file in (ROOT / "docs/tutorials").glob("*.md")}
WITH_PYTHON = sorted(name for name, text in TUTORIALS.items() if "```python" in text)


@pytest.mark.parametrize("name", WITH_PYTHON)
def test_a_tutorial_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", TUTORIALS[name], re.DOTALL)
    exec(compile("".join(blocks), f"docs/tutorials/{name}.md", "exec"), {})


@pytest.mark.parametrize("name", TUTORIALS)
def test_its_commands_and_their_options_exist(name: str) -> None:
    shell = "".join(re.findall(r"```sh\n(.*?)```", TUTORIALS[name], re.DOTALL))
    for command, rest in re.findall(r"^zoo (\w+)(.*)$", shell, re.MULTILINE):
        assert command in COMMANDS
        known = CliRunner().invoke(cli, [command, "--help"]).output
        assert all(option in known for option in re.findall(r"--[a-z-]+", rest)), rest
        recipes = re.findall(r"--recipe (\w+)", rest)
        assert all(recipe in zoo.list_recipes() for recipe in recipes)


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
