"""`zoo compare`: what is written, what is refused before anything starts, and the plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from small_images import in_memory, write_digits, write_images
from torch import nn

from zoo.cli.compare import command
from zoo.compare.costs import costs
from zoo.compare.folder import Folder
from zoo.errors import (
    CheckpointError,
    DataError,
    IncompatibleBackboneError,
    UnknownNameError,
    UsageError,
)
from zoo.recipes import to_toml

pytestmark = pytest.mark.long


def call(images: Path, out: Path, *more: str, attentions: str = "se,eca") -> None:
    arguments = ["--backbone", "test_resnet", "--attentions", attentions, "--data", str(images)]
    settings = ["--size", "32", "--epochs", "1", "--batch-size", "8", "--workers", "0"]
    where = ["--out", str(out), "--device", "cpu"]
    command.main([*arguments, *settings, *where, *more], standalone_mode=False)


def test_a_comparison_leaves_a_table_every_run_and_pictures(images, tmp_path, capsys) -> None:
    call(images, tmp_path, "--seeds", "2", "--json", attentions="se")
    content = json.loads(capsys.readouterr().out)
    assert content == json.loads((tmp_path / "results.json").read_text())
    assert [(run["arm"], run["seed"]) for run in content["runs"]] == [
        ("plain", 0), ("plain", 1), ("se", 0), ("se", 1),
    ]  # fmt: skip
    assert content["results"][0]["difference"]["pairs"] == 2
    plain, se = content["costs"]["plain"], content["costs"]["se"]
    assert plain["parameters"] < se["parameters"]
    assert all(value > 0 for cost in (plain, se) for value in cost.values())
    names = {path.name for path in tmp_path.iterdir()}
    pictures = {f"{name}.{kind}" for name in ("forest", "pareto") for kind in ("png", "svg")}
    assert names == {"comparison.json", "results.json", "table.md", "runs"} | pictures
    assert content["conclusion"] in (tmp_path / "table.md").read_text()


def test_one_seed_is_said_to_conclude_nothing(images, tmp_path, capsys) -> None:
    call(images, tmp_path, "--seeds", "1", attentions="eca")
    said = capsys.readouterr().out
    assert "nothing may be concluded" in said
    assert "one seed" in said
    second = {**Folder(tmp_path).runs()[0], "arm": "plain", "seed": 1}  # without its partner
    (tmp_path / "runs" / "plain.1.json").write_text(json.dumps(second))
    call(images, tmp_path, "--seeds", "2", "--report", attentions="eca")
    again = capsys.readouterr().out
    assert [line[:50] for line in again.splitlines()] == [line[:50] for line in said.splitlines()]


def test_an_unknown_attention_is_refused_with_the_closest(images, tmp_path) -> None:
    with pytest.raises(UnknownNameError, match="cbam"):
        call(images, tmp_path / "out", attentions="se,cbaam")
    assert not (tmp_path / "out").exists()


def test_attentions_that_do_not_go_in_are_named_before_anything_starts(images, tmp_path) -> None:
    with pytest.raises(IncompatibleBackboneError) as caught:
        call(images, tmp_path / "out", attentions="se,spatial_reduction,xslot")
    assert "spatial_reduction, xslot do not work in test_resnet" in str(caught.value)
    assert "replaces a transformer's softmax attention" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_they_are_left_out_where_one_says_so(images, tmp_path, capsys) -> None:
    call(images, tmp_path / "out", "--skip", "--plan", "--json", attentions="se,spatial_reduction")
    said = capsys.readouterr()
    assert json.loads(said.out)["tests"] == 1
    assert "spatial_reduction is left out" in said.err
    with pytest.raises(IncompatibleBackboneError):
        call(images, tmp_path / "out", "--skip", attentions="spatial_reduction")


def test_a_plan_says_what_the_seeds_can_find_and_starts_nothing(images, tmp_path, capsys) -> None:
    call(images, tmp_path / "out", "--plan", "--sd", "2", "--json", "--seeds", "4")
    plan = json.loads(capsys.readouterr().out)
    assert (plan["runs"], plan["done"], plan["tests"], plan["images"]) == (12, 0, 2, 30)
    found = {row["seeds"]: row for row in plan["found"]}
    assert sorted(found) == [3, 4, 5, 10, 20]
    assert found[20]["alone"] < found[4]["alone"] < found[4]["among_all"]
    assert plan["total"] == pytest.approx(4 * sum(plan["seconds"].values()))
    assert not (tmp_path / "out").exists()
    call(images, tmp_path / "out", "--plan")
    assert "standard deviations of a paired difference" in capsys.readouterr().out


def test_a_folder_of_another_comparison_is_left_as_it_is(images, tmp_path) -> None:
    (tmp_path / "comparison.json").write_text(
        json.dumps({"digest": "0", "arms": {}, "seeds": 1, "recipe": {}})
    )
    with pytest.raises(CheckpointError, match="another recipe, backbone or data"):
        call(images, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["comparison.json"]


def test_one_class_is_refused(tmp_path) -> None:
    write_images(tmp_path / "one" / "train", 8, 0, ("red",))
    with pytest.raises(DataError, match="only one class"):
        call(tmp_path / "one", tmp_path / "out")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--option", "reduction"], "not KEY=VALUE"),
        (["--option", "rduction=4"], "has an option 'rduction'"),
        (["--option", "cbam.reduction=4"], "has an option 'cbam.reduction'"),
        (["--lr", "0"], "optimizer.lr = 0.0 is out of range"),
        (["--recipe", "x.toml"], "--backbone is what the recipe says"),
        (["--report"], "no run is finished"),
    ],
)
def test_wrong_calls(images, tmp_path, more, reason) -> None:
    with pytest.raises(UsageError, match=reason):
        call(images, tmp_path / "out", *more)


def test_an_attention_named_twice_is_refused(images, tmp_path) -> None:
    with pytest.raises(UsageError, match="se is named twice"):
        call(images, tmp_path / "out", attentions="se,eca,se")


def test_options_go_to_those_that_have_them() -> None:
    from zoo.compare.arms import arms
    from zoo.registry import default_registry

    options = {"se.reduction": 2, "reduction": 4}
    found = arms(["se", "cbam", "simam"], default_registry(), options=options, sites=["stage"])
    assert [dict(arm.options) for arm in found] == [{"reduction": 2}, {"reduction": 4}, {}]
    assert {arm.sites for arm in found} == {"stage"}


class Doubled(nn.Module):
    """A convolution, and the sum of its output with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.seen = nn.Parameter(torch.zeros(1))

    def forward(self, x: Any) -> Any:
        y = self.conv(x)
        return (y + y + self.seen).mean((2, 3))


def test_costs_are_counted_as_they_are_by_hand_and_leave_the_model_as_it_was() -> None:
    model = Doubled()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = costs({"doubled": model}, (3, 64, 64), 8, torch.device("cpu"))["doubled"]
    assert found["parameters"] == 3 * 4 * 9 + 1
    assert found["macs"] == 3 * 4 * 9 * 64 * 64
    output = 8 * 4 * 64 * 64 * 4 / 2**20  # the map in MB
    assert 3 * output <= found["memory_mb"] <= 6 * output
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_recipe_of_images_in_memory_is_compared(digits, tmp_path, capsys) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text(to_toml(in_memory()))
    options = ["--attentions", "eca", "--data", str(digits), "--device", "cpu", "--json"]
    where = ["--recipe", str(recipe), "--out", str(tmp_path / "out"), "--seeds", "2"]
    command.main([*where, *options], standalone_mode=False)
    content = json.loads(capsys.readouterr().out)
    assert content["recipe"]["model"] == "cifar_resnet"
    assert {(run["split"], run["images"]) for run in content["runs"]} == {("test", 20)}


def test_images_in_memory_of_one_class_are_refused(tmp_path) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text(to_toml(in_memory()))
    write_digits(tmp_path / "ones", classes=1)
    options = ["--attentions", "eca", "--data", str(tmp_path / "ones"), "--device", "cpu"]
    with pytest.raises(DataError, match="has the same class"):
        command.main(["--recipe", str(recipe), *options, "--out", str(tmp_path / "out")],
                     standalone_mode=False)  # fmt: skip
    assert not (tmp_path / "out").exists()
