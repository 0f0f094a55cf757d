"""`zoo verify` finds what is wrong with a mechanism, and survives what is wrong with a file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.torch import save_file

from zoo.cli.verify import command
from zoo.errors import UsageError
from zoo.reference import verify
from zoo.reference.models import draw

CASE = "se.c32_r4.safetensors"
MODELS = Path(__file__).with_name("cases") / "models.json"
Tensors = dict[str, torch.Tensor]


def load(path: Path) -> tuple[Tensors, dict[str, str]]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata())  # noqa: SIM118


@pytest.fixture
def changed(cases: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of a case, after `change(tensors, header)`."""

    def make(change: Callable[[Tensors, dict[str, str]], Any], case: str = CASE) -> Path:
        tensors, header = load(cases / case)
        change(tensors, header)
        path = tmp_path / case
        save_file({k: v.contiguous() for k, v in tensors.items()}, path, header)
        return path

    return make


@pytest.mark.parametrize("name", ["state.fc1.weight", "state.fc2.bias", "output.y", "grad.x"])
def test_any_changed_number_is_found(name: str, changed: Callable[..., Path]) -> None:
    (result,) = verify([changed(lambda tensors, _: tensors[name].mul_(1.01))])
    assert result.status == "failed"
    assert "differs by" in result.reason


def test_a_difference_below_the_tolerance_passes(changed: Callable[..., Path]) -> None:
    (result,) = verify([changed(lambda tensors, _: tensors["output.y"].add_(5e-6))])
    assert result.status == "passed"
    assert result.max_abs_error == pytest.approx(5e-6, rel=0.2)


def nan_output(tensors: Tensors, _: dict[str, str]) -> None:
    tensors["output.y"][0, 0, 0, 0] = float("nan")


def unused_weight(tensors: Tensors, _: dict[str, str]) -> None:
    tensors["state.fc3.weight"] = torch.zeros(3)


def missing_weight(tensors: Tensors, _: dict[str, str]) -> None:
    del tensors["state.fc2.bias"]


def wrong_shape(tensors: Tensors, _: dict[str, str]) -> None:
    tensors["state.fc1.weight"] = torch.zeros(8, 16, 1, 1)


def missing_input(tensors: Tensors, _: dict[str, str]) -> None:
    del tensors["input.x"]


def unknown_group(tensors: Tensors, _: dict[str, str]) -> None:
    tensors["secret"] = torch.zeros(1)


def foreign_gradient(tensors: Tensors, _: dict[str, str]) -> None:
    tensors["grad.z"] = torch.zeros(1)


def unknown_option(_: Tensors, header: dict[str, str]) -> None:
    header["config"] = '{"channels": 32, "no_such_option": 1}'


def contradiction(_: Tensors, header: dict[str, str]) -> None:
    header["config"] = '{"channels": 32, "reduction": 4, "reduced_channels": 5}'


def enormous(_: Tensors, header: dict[str, str]) -> None:
    header["config"] = '{"channels": 200000}'


def broken_config(_: Tensors, header: dict[str, str]) -> None:
    header["config"] = '{"channels": '


def deep_config(_: Tensors, header: dict[str, str]) -> None:
    header["config"] = "[" * 100_000


def no_config(_: Tensors, header: dict[str, str]) -> None:
    del header["config"]


def no_mechanism(_: Tensors, header: dict[str, str]) -> None:
    del header["mechanism"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (nan_output, "output y"),
        (unused_weight, "fc3.weight"),
        (missing_weight, "fc2.bias"),
        (wrong_shape, "fc1.weight"),
        (missing_input, "input.x"),
        (unknown_group, "secret"),
        (foreign_gradient, "grad.z"),
        (unknown_option, "no_such_option"),
        (contradiction, "reduced_channels=5"),
        (enormous, "5000212500 parameters"),
        (broken_config, "config"),
        (deep_config, "config"),
        (no_config, "config"),
        (no_mechanism, "mechanism"),
    ],
)
def test_a_bad_case_is_one_row(
    change: Callable[[Tensors, dict[str, str]], None], word: str, changed: Callable[..., Path]
) -> None:
    (result,) = verify([changed(change)])
    assert result.status == "failed"
    assert word in result.reason
    assert "\n" not in result.reason


@pytest.mark.parametrize("content", [b"", b"\x08", b"hello", os.urandom(4096), b"\xff" * 64])
def test_a_file_of_garbage_is_one_row(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "se.bad.safetensors"
    path.write_bytes(content)
    (result,) = verify([path])
    assert (result.status, result.file) == ("failed", "se.bad.safetensors")
    assert "cannot be read" in result.reason


def test_a_truncated_file_is_one_row(cases: Path, tmp_path: Path) -> None:
    path = tmp_path / CASE
    path.write_bytes((cases / CASE).read_bytes()[:-100])
    (result,) = verify([path])
    assert result.status == "failed"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"models": 1}', '{"models": [1, {}]}', "\x00\x01", "[" * 100_000],
)
def test_a_bad_list_of_models_is_no_crash(text: str, tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    path.write_text(text)
    for result in verify([path]):
        assert result.status != "passed"
        assert result.reason


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("keys", {"conv1.weight": [2**30, 2**30]}),
        ("keys", {"conv1.weight": "large"}),
        ("keys", None),
        ("config", {"depth": 17, "stride_in": "conv1"}),
        ("config", {"no_such_option": 1}),
        ("config", {"num_classes": -1}),
        ("input_shape", [2**20, 3, 2**20, 4]),
        ("input_shape", "big"),
        ("seed", -1),
        ("gain", "1"),
        ("logits", []),
        ("logits_std", None),
        ("num_params", 1),
    ],
)
def test_a_bad_entry_is_one_row(key: str, value: object, tmp_path: Path) -> None:
    entries = json.loads(MODELS.read_text())["models"]
    entry = next(e for e in entries if e["name"] == "se_resnet20_cifar")
    path = tmp_path / "models.json"
    del entry["num_params_live"]
    path.write_text(json.dumps({"models": [{**entry, key: value}]}))
    (result,) = verify([path])
    assert result.status == "failed"
    assert result.reason


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, list(arguments), catch_exceptions=False)
    return result.exit_code, result.stdout


def test_json(cases: Path) -> None:
    code, output = run("--json", str(cases / CASE), str(cases / "simam.lam1e-4.safetensors"))
    table = json.loads(output)
    assert code == 0
    assert [row["file"] for row in table["cases"]] == [CASE, "simam.lam1e-4.safetensors"]
    assert {row["mechanism"] for row in table["cases"]} == {"se", "simam"}
    for row in table["cases"]:
        assert row["status"] == "passed"
        assert 0 <= row["max_abs_error"] < 1e-5
        assert 0 <= row["max_grad_error"] < 1e-4
        assert row["reason"] == ""


def test_json_of_a_nan_is_json(changed: Callable[..., Path]) -> None:
    code, output = run("--json", str(changed(nan_output)))
    (row,) = json.loads(output, parse_constant=pytest.fail)["cases"]
    assert (code, row["status"], row["max_abs_error"]) == (1, "failed", None)


def test_the_table_names_each_case_and_counts(cases: Path) -> None:
    code, output = run(str(cases / CASE))
    assert code == 0
    assert CASE in output
    assert "1 passed, 0 failed, 0 unsupported" in output


@pytest.mark.parametrize("device", ["banana", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_one_error(device: str, cases: Path) -> None:
    with pytest.raises(UsageError, match=f"device '{device}'"):
        run(str(cases / CASE), "--device", device)


def test_one_failure_fails_the_run_but_not_the_others(
    cases: Path, changed: Callable[..., Path]
) -> None:
    bad = changed(unknown_option)
    code, output = run("--json", str(bad), str(cases / CASE), str(bad.parent / "absent"))
    assert code == 1
    assert [row["status"] for row in json.loads(output)["cases"]] == ["failed", "passed", "failed"]


def test_an_unknown_mechanism_is_unsupported(changed: Callable[..., Path]) -> None:
    path = changed(lambda _, header: header.update(mechanism="no_such_mechanism"))
    code, output = run("--json", str(path))
    table = json.loads(output)
    assert code == 0
    assert (table["passed"], table["failed"], table["unsupported"]) == (0, 0, 1)
    assert table["cases"][0]["status"] == "unsupported"


def test_a_folder_is_all_its_cases(cases: Path, tmp_path: Path) -> None:
    for name in (CASE, "eca.c64_k3.safetensors"):
        (tmp_path / name).write_bytes((cases / name).read_bytes())
    (tmp_path / "notes.txt").write_text("not a case")
    assert [result.status for result in verify([tmp_path])] == ["passed", "passed"]


def test_an_empty_folder_is_a_failure(tmp_path: Path) -> None:
    (result,) = verify([tmp_path])
    assert (result.status, result.reason) == ("failed", "the folder holds no reference case")


def test_the_random_state_of_the_caller_is_left_alone(cases: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    list(verify([cases / CASE]))
    assert torch.equal(torch.rand(3), expected)


def test_weights_follow_from_the_key_alone() -> None:
    """The rule of the reference files: leaf name and shape choose the distribution."""
    weight = draw("layer1.0.conv1.weight", [64, 32, 3, 3], 0, 1.0)
    assert weight.std().item() == pytest.approx((32 * 9) ** -0.5, rel=0.02)
    assert draw("bn.running_mean", [4096], 0, 1.0).std().item() == pytest.approx(0.1, rel=0.05)
    assert draw("bn.running_var", [4096], 0, 1.0).min().item() >= 0.5
    assert not torch.equal(weight, draw("layer1.1.conv1.weight", [64, 32, 3, 3], 0, 1.0))
    assert torch.equal(weight, draw("layer1.0.conv1.weight", [64, 32, 3, 3], 0, 1.0))
