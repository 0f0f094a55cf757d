"""What docs/your-model.md shows runs, from the top to the bottom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zoo.cli import COMMANDS

PAGE = (Path(__file__).parents[2] / "docs" / "your-model.md").read_text("utf-8")


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 7
    exec(compile("".join(blocks), "docs/your-model.md", "exec"), {})
    assert (tmp_path / "cbam.safetensors").stat().st_size < 2**20


def test_its_commands_exist() -> None:
    shell = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))
    assert set(re.findall(r"^zoo (\w+)", shell, re.MULTILINE)) == {"sites"} <= set(COMMANDS)
