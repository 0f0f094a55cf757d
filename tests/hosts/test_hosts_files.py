"""A file of what was added: small, checked, all of it or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import own_hosts
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

import zoo
from zoo.errors import (
    ConfigError,
    CorruptWeightsError,
    IncompatibleBackboneError,
    OptionError,
    UnknownNameError,
    UsageError,
    WeightsMismatchError,
    WeightsNotFoundError,
    WeightsWarning,
)

pytestmark = pytest.mark.long

X = torch.rand(2, 3, 16, 16)
KEY = "zoo_attention"


def host(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return own_hosts.ResNet().eval()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Of a host with three kinds of attention, none of which is where it started."""
    model = host()
    zoo.add_attention(model, "cbam", at="stage1.*", example=X, reduction=4, insertion="exact")
    zoo.add_attention(model, "gather_excite", at="stage2", example=X, insertion="plain")
    zoo.add_attention(model, "stand_alone", at="stage2.1.conv1", example=X, insertion="plain")
    with torch.no_grad():
        for parameter in zoo.attention_parameters(model):
            parameter.add_(0.2 * torch.randn_like(parameter))
    torch.save(model(X), tmp_path / "outputs.pt")
    return zoo.save_attention(model, tmp_path / "added.safetensors")


def contents(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    with safe_open(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return json.loads(file.metadata()[KEY]), tensors


def edited(path: Path, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], None]) -> Path:
    """The file with another statement or other tensors."""
    statement, tensors = contents(path)
    change(statement, tensors)
    save_file(tensors, path, {KEY: json.dumps(statement)})
    return path


def test_a_fresh_host_computes_the_same(saved: Path) -> None:
    model = host()
    zoo.load_attention(model, saved, strict=True)
    assert torch.equal(model(X), torch.load(saved.with_name("outputs.pt")))
    again = contents(zoo.save_attention(model, saved.with_name("again.safetensors")))
    statement, tensors = contents(saved)
    assert again[0] == statement
    assert all(torch.equal(again[1][key], tensor) for key, tensor in tensors.items())
    paths = ["stage1.0.cbam", "stage1.1.cbam", "stage2.gather_excite", "stage2.1.conv1"]
    assert sorted(zoo.remove_attention(model)) == sorted(paths)
    assert torch.equal(model(X), host()(X))


def test_it_has_what_was_added_and_nothing_else(saved: Path) -> None:
    statement, tensors = contents(saved)
    model = host()
    zoo.load_attention(model, saved)
    assert set(tensors) == {k for k in model.state_dict() if k not in host().state_dict()}
    assert statement["host"] == "ResNet" and len(statement["added"]) == 4
    assert statement["added"][0]["options"] == {"reduction": 4}


def test_other_weights_are_a_warning_or_refused(saved: Path) -> None:
    model = host(1)
    with pytest.raises(WeightsMismatchError, match="other weights"):
        zoo.load_attention(model, saved, strict=True)
    assert not model.state_dict().keys() - host().state_dict().keys()
    with pytest.warns(WeightsWarning, match="other weights"):
        zoo.load_attention(model, saved)


def test_another_architecture_is_refused(saved: Path) -> None:
    for other in (own_hosts.ResNet(8), own_hosts.UNet()):
        with pytest.raises(IncompatibleBackboneError, match="other names or shapes"):
            zoo.load_attention(other, saved)
        assert not any("zoo_added" in vars(module) for module in other.modules())


def test_a_second_time_is_refused(saved: Path) -> None:
    model = host()
    zoo.load_attention(model, saved)
    keys = list(model.state_dict())
    with pytest.raises(UsageError, match="already"):
        zoo.load_attention(model, saved)
    assert list(model.state_dict()) == keys


def place(index: int, **fields: Any) -> Callable[..., None]:
    return lambda statement, tensors: statement["added"][index].update(fields)


def no_tensor(statement: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    del tensors["stage1.0.cbam.gate_scale"]


def another_shape(statement: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    tensors["stage1.0.cbam.gate_scale"] = torch.ones(2)


def not_a_number(statement: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    tensors["stage1.0.cbam.gate_scale"] = torch.tensor(torch.nan)


def another_version(statement: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    statement["version"] = 2


def no_places(statement: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    statement["added"] = []


EDITS: dict[str, tuple[Callable[..., None], type[Exception], str]] = {
    "an unknown mechanism": (place(0, mechanism="cbamm"), UnknownNameError, "cbam"),
    "a mechanism of another version": (
        place(0, options={"reduction": 2}), WeightsMismatchError, "this version's mechanisms",
    ),
    "an option that is not there": (
        place(0, options={"width": 2}), WeightsMismatchError, "cannot be built",
    ),
    "a place that is not there": (
        place(0, path="stage9.0.cbam"), IncompatibleBackboneError, "no such place",
    ),
    "a norm": (place(0, path="stage1.0.bn1.cbam"), IncompatibleBackboneError, "is a norm"),
    "no path": (place(0, path="../x"), ConfigError, "path"),
    "no joining": (place(0, joining="over"), ConfigError, "joining"),
    "too many channels": (place(0, channels=2**40), ConfigError, "channels"),
    "an option out of bounds": (place(0, options={"reduction": 1e30}), ConfigError, "reduction"),
    "another field": (place(0, more=1), ConfigError, "more"),
    "the device": (place(0, options={"device": "cuda"}), ConfigError, "device"),
    "a tensor is absent": (no_tensor, WeightsMismatchError, "gate_scale"),
    "a tensor of another shape": (another_shape, WeightsMismatchError, "gate_scale"),
    "no number": (not_a_number, CorruptWeightsError, "NaN"),
    "another version": (another_version, ConfigError, "version 2"),
    "no places": (no_places, ConfigError, "added"),
}  # fmt: skip


@pytest.mark.parametrize("case", EDITS)
def test_a_file_that_is_not_as_it_should_be_adds_nothing(saved: Path, case: str) -> None:
    change, error, text = EDITS[case]
    model, before = host(), list(host().state_dict())
    classes = [type(module) for module in model.modules()]
    with pytest.raises(error, match=text):
        zoo.load_attention(model, edited(saved, change))
    assert list(model.state_dict()) == before
    assert [type(module) for module in model.modules()] == classes


def test_files_that_are_none(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError):
        zoo.load_attention(host(), tmp_path / "none.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(saved.read_bytes()[:-3])
    with pytest.raises(CorruptWeightsError, match="truncated"):
        zoo.load_attention(host(), cut)
    save_file({"weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ConfigError, match="no file of attention"):
        zoo.load_attention(host(), tmp_path / "other.safetensors")


def test_what_cannot_be_saved_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no attention was added"):
        zoo.save_attention(host(), tmp_path / "a.safetensors")
    model = host()
    zoo.add_attention(model, "se", at="stage1", example=X)
    with pytest.raises(UsageError, match="not named"):
        zoo.save_attention(model, tmp_path / "a.pt")
    activated = host()
    zoo.add_attention(
        activated, "se", at="stage1", example=X, insertion="residual", act_layer=nn.GELU
    )
    with pytest.raises(OptionError, match="plain data"):
        zoo.save_attention(activated, tmp_path / "a.safetensors")


def test_names_of_any_letters_are_saved(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Sequential())
    model[0].add_module("a/b c", nn.Conv2d(3, 8, 1))  # type: ignore[union-attr]
    zoo.add_attention(model, "se", at="0.a/b c", example=X)
    file = zoo.save_attention(model, tmp_path / "a.safetensors")
    zoo.remove_attention(model)
    zoo.load_attention(model, file, strict=True)
    assert zoo.remove_attention(model) == ["0.a/b c.se"]
