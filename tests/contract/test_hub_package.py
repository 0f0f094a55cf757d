"""What a push would publish: read back by the Hub's own tools, every metric backed by a record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from huggingface_hub import ModelCard
from safetensors.torch import save_file

import zoo
from zoo.cli import cli
from zoo.errors import ConfigError, CorruptWeightsError, UsageError, WeightsError
from zoo.hub import local_file
from zoo.publish.package import Package, build
from zoo.publish.source import open_source
from zoo.weights.config import parse

pytestmark = pytest.mark.long

MODEL, OPTIONS = "se_test_resnet", {"num_classes": 4, "in_chans": 1}
RECIPE = """
model = "se_test_resnet"
epochs = 1
batch_size = 8

[data]
name = "toy"

[optimizer]
lr = 1e-3

[model_options]
num_classes = 4
in_chans = 1
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return zoo.create_model(MODEL, **OPTIONS).state_dict()


@pytest.fixture
def run(tmp_path: Path, state: dict[str, torch.Tensor]) -> Path:
    """The folder of a training run."""
    folder = tmp_path / "run"
    folder.mkdir()
    save_file(state, folder / "model.safetensors")
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "curve.csv").write_text("epoch,loss,seconds\n1,2.5,3\n2,1.5,6\n")
    return folder


def record(path: Path, sha256: str, **changes: Any) -> Path:
    table = {
        "model": MODEL, "weights": {"source": "file", "revision": None, "sha256": sha256},
        "data": {"name": "toy", "split": "test", "count": 100, "skipped": 1},
        "metrics": {"top1": 51.25, "top5": 100.0},
    }  # fmt: skip
    path.write_text(json.dumps({**table, **changes}))
    return path


def digest(run: Path) -> str:
    with local_file(run / "model.safetensors") as file:
        return file.sha256


def packed(run: Path, *records: Path, out: Path | None = None, **options: Any) -> Package:
    with open_source(str(run)) as source:
        package = build(source, "org/tiny", record_paths=records, **options)
        if out:
            package.write(out)
    return package


def test_the_card_is_what_the_hub_reads(run: Path, tmp_path: Path) -> None:
    package = packed(run, record(tmp_path / "r.json", digest(run)), license="mit")
    card = ModelCard(package.files["README.md"].decode())
    assert (card.data.library_name, card.data.license) == ("timm", "mit")
    assert {"image-classification", "se"} <= set(card.data.tags)
    results = {r.metric_name: (r.metric_value, r.dataset_split) for r in card.data.eval_results}
    assert results == {"top1": (51.25, "test"), "top5": (100.0, "test")}
    assert "Squeeze-and-Excitation" in card.text and digest(run) in card.text
    assert "picture.png" in card.text and package.files["picture.png"].startswith(b"\x89PNG")
    assert 'name = "toy"' in card.text


def test_the_config_rebuilds_the_model(run: Path, state: dict[str, torch.Tensor]) -> None:
    package = packed(run)
    config = parse(package.files["config.json"], "config.json")
    assert config.architecture == MODEL and config.model_args["attention"] == "se"
    arguments = {"num_classes": config.num_classes, **config.model_args}
    arguments.pop("attention")
    rebuilt = zoo.create_model(config.architecture, **arguments)
    assert {k: v.shape for k, v in rebuilt.state_dict().items()} == {
        k: v.shape for k, v in state.items()
    }


def test_the_weights_are_the_very_file(run: Path, tmp_path: Path) -> None:
    package = packed(run, out=tmp_path / "out")
    assert (tmp_path / "out/model.safetensors").read_bytes() == (
        run / "model.safetensors"
    ).read_bytes()
    manifest = json.loads(package.files["zoo.json"])
    assert manifest["sha256"] == digest(run) and manifest["versions"]["torch"]
    again = packed(tmp_path / "out")
    assert again.files["config.json"] == package.files["config.json"]


def test_no_record_no_claim(run: Path) -> None:
    card = ModelCard(packed(run).files["README.md"].decode())
    assert not card.data.eval_results and "Nothing is claimed" in card.text


@pytest.mark.parametrize(
    "part", [{"limit": 300}, {"skipped": 2}, {"skipped": ["a", "b"]}, {"skipped": 100}]
)
def test_a_part_of_the_data_is_no_result_on_it(run: Path, tmp_path: Path, part: Any) -> None:
    data = {"name": "toy", "split": "test", "count": 100, **part}
    path = record(tmp_path / "r.json", digest(run), data=data)
    card = ModelCard(packed(run, path).files["README.md"].decode())
    assert not card.data.eval_results
    assert "51.25" in card.text and "a part of a data set" in card.text


@pytest.mark.slow
def test_a_recipe_is_utf8_whatever_the_locale(run: Path, tmp_path: Path) -> None:
    notes = 'notes = "überprüft ✓"\n'
    (run / "recipe.toml").write_text(notes + RECIPE, encoding="utf-8")
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    paths = os.pathsep.join(filter(None, sys.path))
    command = ["push", str(run), "org/tiny", "--dry-run", "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "zoo", *command],
        env={**os.environ, **plain, "PYTHONPATH": paths}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in ("recipe.toml", "README.md"):
        assert notes.strip() in (tmp_path / "out" / name).read_text(encoding="utf-8")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_under_out_is_one_error(run: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        packed(run, out=tmp_path / "out")
    assert caught.value.filename == str(tmp_path / "out" / "config.json")


def test_a_record_of_other_weights_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="backs no metric"):
        packed(run, record(tmp_path / "r.json", "0" * 64))


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": {}}, {"metrics": {"top1": "99"}}, {"metrics": {"top1": 101}},
        {"metrics": {"top1": float("nan")}}, {"data": {"name": "toy"}},
        {"data": {"name": "toy", "count": 0}}, {"weights": {}}, {"model": 3},
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused(run: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        packed(run, record(tmp_path / "r.json", digest(run), **changes))


def test_weights_that_cannot_be_trusted_are_not_published(
    run: Path, state: dict[str, torch.Tensor]
) -> None:
    path = run / "model.safetensors"
    spoilt = {**state, "fc.bias": torch.full_like(state["fc.bias"], float("nan"))}
    save_file(spoilt, path)
    with pytest.raises(CorruptWeightsError, match="fc.bias"):
        packed(run)
    save_file({k: v for k, v in state.items() if k != "fc.bias"}, path)
    with pytest.raises(WeightsError, match="fc.bias"):
        packed(run)


def test_weights_of_no_known_model(run: Path) -> None:
    (run / "recipe.toml").unlink()
    with pytest.raises(UsageError, match="which model"):
        packed(run)


def test_a_picture_must_be_one(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "x.png"
    page.write_text("<html>")
    with pytest.raises(UsageError, match="PNG"):
        packed(run, picture=page)


@pytest.mark.parametrize("license", ["MIT", "Apache 2.0", "cc-by", "mine"])
def test_a_licence_that_the_hub_refuses_is_refused_by_a_dry_run(run: Path, license: str) -> None:
    arguments = ["push", str(run), "org/tiny", "--dry-run", "--license", license]
    result = CliRunner().invoke(cli, arguments)
    assert isinstance(result.exception, UsageError) or result.exit_code == 2, result.output
    assert "licence" in str(result.exception) + result.output


def test_a_dry_run_sends_nothing(run: Path, tmp_path: Path) -> None:
    arguments = ["push", str(run), "org/tiny", "--dry-run", "--json", "--out", str(tmp_path / "o")]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    assert "url" not in json.loads(result.stdout)
    assert (tmp_path / "o/README.md").exists()
