"""`zoo convert` on checkpoints of timm's training, the zoo's own files, and newer key names."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from timm.utils import CheckpointSaver, ModelEmaV3
from torch import Tensor

import zoo
from zoo.cli.convert import command
from zoo.errors import CorruptWeightsError, WeightsMismatchError
from zoo.reference.cases import read_case
from zoo.reference.convert import convert

CASES = Path(__file__).parents[1] / "reference" / "cases"
SMALL = "se_resnet20_cifar"
State = dict[str, Tensor]


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.safetensors"


def training_checkpoint(folder: Path, name: str, seed: int, **options: Any) -> tuple[Path, State]:
    """What timm's own training leaves: arguments, weights, and their moving average."""
    torch.manual_seed(seed)
    model = zoo.create_model(name, **options)
    average = ModelEmaV3(model)
    with torch.no_grad():
        for tensor in average.module.parameters():
            tensor.add_(0.1)
    saver = CheckpointSaver(
        model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), model_ema=average,
        args=argparse.Namespace(model=name, lr=0.1, mean=[0.5], amp=False), checkpoint_dir=folder,
    )  # fmt: skip
    saver.save_checkpoint(0, metric=1.0)
    return folder / "last.pth.tar", average.module.state_dict()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cbam_test_resnet", {"insertion": "exact", "num_classes": 3}),
        ("simam_test_resnet", {"insertion": "residual", "num_classes": 3}),
        ("se_resnet20_cifar", {"num_classes": 5}),
        ("test_resnet", {"num_classes": 3}),
    ],
)
def test_a_checkpoint_of_timm_s_training(
    name: str, options: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    source, averaged = training_checkpoint(tmp_path, name, 0, **options)
    done = convert(name, source, out)
    assert (done.wrapper, done.instead_of) == (("state_dict_ema",), "state_dict")
    assert done.options == options
    model: Any = zoo.create_model(name, weights=out)
    assert model.num_classes == options["num_classes"] and model.zoo.untrained == ()
    assert all(torch.equal(model.state_dict()[key], value) for key, value in averaged.items())
    said = CliRunner().invoke(command, [name, str(source), str(out)], catch_exceptions=False)
    assert "state_dict_ema, the moving average" in said.output
    assert "state_dict beside it is left out" in said.output


def test_a_namespace_that_holds_code_is_refused(tmp_path: Path, out: Path) -> None:
    trap, source = tmp_path / "trap", tmp_path / "evil.pth"
    arguments = argparse.Namespace(model="x", hook=Hostile(trap))
    torch.save({"state_dict": {"x": torch.ones(1)}, "args": arguments}, source)
    with pytest.raises(CorruptWeightsError, match="mkdir"):
        convert(SMALL, source, out)
    assert not trap.exists() and not out.exists()


def test_two_averages_are_not_chosen_from(tmp_path: Path, out: Path) -> None:
    state = zoo.create_model(SMALL).state_dict()
    torch.save({"state_dict_ema": state, "model_ema": state, "model": state}, tmp_path / "x.pth")
    with pytest.raises(WeightsMismatchError, match="several state dicts"):
        convert(SMALL, tmp_path / "x.pth", out)


def test_a_file_of_the_zoo_says_what_it_is(tmp_path: Path, out: Path) -> None:
    options: dict[str, Any] = {"attention_options": {"reduction": 8}, "insertion": "exact"}
    model = zoo.create_model("cbam_test_resnet", num_classes=3, **options)
    done = convert("cbam_test_resnet", zoo.save_model(model, tmp_path / "a.safetensors"), out)
    assert done.options["attention_options"] == {"reduction": 8}
    again = zoo.create_model("cbam_test_resnet", weights=out)
    assert torch.equal(again.state_dict()["fc.weight"], model.state_dict()["fc.weight"])


def test_a_perceiver_of_the_port_s_present_version(tmp_path: Path, out: Path) -> None:
    """Version 0.11 names what were the places 0, 1 and 2 of each layer."""
    case, source = read_case(CASES / "perceiver.base.safetensors"), tmp_path / "case.pt"
    named = {"0": "cross_attn", "1": "cross_ff", "2": "self_attns"}
    present = {
        re.sub(r"^(layers\.\d+)\.(\d)\.", lambda m: f"{m[1]}.{named[m[2]]}.", key): tensor
        for key, tensor in case.state.items()
    }
    assert present.keys() != case.state.keys()
    torch.save(dict(case.state), source)
    convert("perceiver", source, tmp_path / "before.safetensors", case.config)
    torch.save(present, source)
    convert("perceiver", source, out, case.config)
    before, after = load_file(tmp_path / "before.safetensors"), load_file(out)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
