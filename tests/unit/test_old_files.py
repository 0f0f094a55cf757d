"""What version 0.1 wrote is still read: pickles, and checkpoints of training runs."""

from __future__ import annotations

import pickle
import shutil
from importlib import import_module
from pathlib import Path

import pytest
import torch
from zoo_plugins.moved import MOVED

from zoo.recipes import read_recipe
from zoo.runtime.old_names import OLD_NAMES
from zoo.training.checkpoint import load_checkpoint

OLD = Path(__file__).parents[1] / "old_files"


def unpickled(name: str):
    return torch.load(OLD / name, weights_only=False)


def test_pickled_attentions_compute_what_they_did() -> None:
    for module, x, expected in unpickled("attentions.pt").values():
        torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("name", ["composition.pt", "named.pt"])
def test_a_pickled_model_runs_and_is_pickled_again(name: str) -> None:
    model = unpickled(name).eval().float()
    x = torch.rand(2, *model.pretrained_cfg["input_size"])
    again = pickle.loads(pickle.dumps(model))
    with torch.inference_mode():
        torch.manual_seed(1)
        expected = model(x)
        torch.manual_seed(1)
        torch.testing.assert_close(again(x), expected)


def test_a_checkpoint_is_read(tmp_path: Path) -> None:
    shutil.copytree(OLD / "run", tmp_path / "run")
    settings = read_recipe(OLD / "run" / "recipe.toml")
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt", settings.digest)["step"] == 16


@pytest.mark.parametrize(("old", "new"), [*OLD_NAMES.items(), *MOVED.items()])
def test_a_module_is_found_by_its_old_name_and_loaded_once(old: str, new: str) -> None:
    assert import_module(old) is import_module(new)
