"""What docs/fine-tune.md shows runs, from the top to the bottom, on a tiny folder."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import zoo
from zoo.cli import cli
from zoo.recipes import read_recipe

PAGE = (Path(__file__).parents[2] / "docs" / "fine-tune.md").read_text("utf-8")
TINY = {"se_resnet18": "se_test_resnet"}  # a model that trains in some seconds
QUICK = ["--epochs", "1", "--batch-size", "4", "--size", "32", "--workers", "0"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    for place, name in enumerate(("daisy", "rose", "tulip")):
        (tmp_path / "flowers" / name).mkdir(parents=True)
        for number in range(1, 6):
            pixels = draw.integers(0, 100, (40 + number, 50, 3), dtype=np.uint8)
            pixels[..., place] += 150
            Image.fromarray(pixels).save(tmp_path / "flowers" / name / f"{number}.jpg")
    return tmp_path


def tiny(text: str) -> str:
    for name, small in TINY.items():
        text = text.replace(name, small)
    return text


def run(line: str, backbone: Path) -> None:
    """A line of the page, with settings that make it quick, and no connection."""
    words = tiny(line).replace("--pretrained", f"--backbone-weights {backbone}").split()[1:]
    if words[0] == "train" and not words[1].endswith(".toml"):
        if "--epochs" in words:
            place = words.index("--epochs")
            del words[place : place + 2]
        words += QUICK
    if words[0] == "eval":
        words += ["--workers", "0"]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, (words, result.output, result.exception)


def test_the_page_runs(here, capsys):
    plain = zoo.create_model("test_resnet", num_classes=10)
    backbone = zoo.save_model(plain, here / "backbone.safetensors")
    train, look, recipe = (block.strip().splitlines() for block in blocks("sh"))
    for line in (*train, *look, *recipe):
        run(line, backbone)
    assert (here / "seen.png").is_file() and (here / "runs" / "again" / "curve.csv").is_file()
    (here / "all.toml").write_text(tiny(blocks("toml")[0]))
    assert read_recipe(here / "all.toml").pretrained
    stages = tiny(blocks("toml")[1]).replace(
        "pretrained = true", f'backbone_weights = "{backbone}"'
    )
    stages = re.sub(r"epochs = \d", "epochs = 1", stages).replace(
        "batch_size = 32", "batch_size = 4"
    )
    (here / "stages.toml").write_text(stages.replace("[images]", "[images]\nsize = 32"))
    run("zoo train stages.toml --data flowers --workers 0", backbone)
    assert (here / "runs" / "stages" / "stage1" / "data.json").is_file()
    code = "".join(tiny(block) for block in blocks("python"))
    exec(compile(code, "docs/fine-tune.md", "exec"), {})
    said = capsys.readouterr().out
    assert "flowers/rose/1.jpg" in said
