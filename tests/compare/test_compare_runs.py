"""Runs differ by their attention alone, and an interrupted comparison ends as any other."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_images import COLOURS, in_memory, write_digits, write_images

import zoo
from zoo.compare.design import PLAIN, Arm, Comparison
from zoo.compare.folder import Folder
from zoo.compare.look import look
from zoo.compare.measuring import measured_on, read_once
from zoo.compare.pairing import arm_recipe, pair
from zoo.compare.runner import Where, run_all
from zoo.compare.unit import run
from zoo.data.resolve import open_data
from zoo.errors import CheckpointError, DataError
from zoo.evaluation.runner import evaluate
from zoo.recipes import Recipe
from zoo.runtime.processes import join
from zoo.training.loop import Trainer
from zoo.training.prepare import build_model, prepare

pytestmark = pytest.mark.long


def kept(folder: Path) -> list[dict[str, Any]]:
    """What the runs of a folder found, but for how long they took."""
    return [{k: v for k, v in run.items() if k != "seconds"} for run in Folder(folder).runs()]


def where(folder: Path, images: Path) -> Where:
    return Where(folder=folder, data=images, workers=0)


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory) -> Any:
    """The folder of a comparison that was never interrupted, once it is asked for."""
    folder = tmp_path_factory.mktemp("whole") / "runs"

    def done(comparison: Comparison) -> Path:
        if not folder.exists():
            run_all(comparison, where(folder, images), ["cpu"], lambda found: None)
        return folder

    return done


def weights(recipe: Recipe, arm: Arm, seed: int, data: Path) -> dict[str, torch.Tensor]:
    """What an arm starts from, whatever it was built with."""
    prepared = prepare(arm_recipe(recipe, arm, seed + 100), data, join("cpu"), 0)
    pair(prepared, recipe, seed)
    return prepared.trainer.model.state_dict()


def plain_weights(recipe: Recipe, seed: int) -> dict[str, torch.Tensor]:
    """What the plain backbone is, built with a seed and nothing else."""
    torch.manual_seed(seed)
    return build_model(recipe, 3)[0].state_dict()


def test_arms_start_from_the_plain_backbone_of_their_seed(comparison, images) -> None:
    plain = plain_weights(comparison.recipe, 3)
    own = weights(comparison.recipe, comparison.arms[0], 3, images)
    assert plain.keys() < own.keys()
    assert all(torch.equal(own[name], tensor) for name, tensor in plain.items())
    itself = weights(comparison.recipe, Arm(label=PLAIN), 3, images)
    assert all(torch.equal(itself[name], tensor) for name, tensor in plain.items())
    assert not torch.equal(
        plain["conv1.weight"], plain_weights(comparison.recipe, 4)["conv1.weight"]
    )


def test_a_convolution_that_was_replaced_has_no_counterpart(comparison, images) -> None:
    plain = plain_weights(comparison.recipe, 0)
    own = weights(comparison.recipe, Arm(label="cot", attention="cot"), 0, images)
    missing = {name for name in plain if name not in own}
    assert missing  # the convolutions in whose place it stands
    shared = [n for n in plain if n in own and plain[n].shape == own[n].shape]
    assert all(torch.equal(own[name], plain[name]) for name in shared)


def seen_by(recipe: Recipe, arm: Arm, data: Path, out: Path, monkeypatch) -> list[float]:
    """What the network was shown in each step, as a number."""
    shown: list[float] = []
    step = Trainer._normalised

    def remember(self: Trainer, images: Any, distort: Any = None) -> Any:
        found = step(self, images, distort)
        shown.append(float(found.double().sum()))
        return found

    monkeypatch.setattr(Trainer, "_normalised", remember)
    run(recipe, arm, 0, out, data=data, workers=0)
    monkeypatch.undo()
    return shown


def test_an_attention_that_draws_random_numbers_does_not_change_the_images(
    images, digits, tmp_path, monkeypatch
) -> None:
    recipe = in_memory()
    plain = seen_by(recipe, Arm(label=PLAIN), digits, tmp_path / "plain", monkeypatch)
    drawing = Arm(label="adl", attention="adl")  # which drops at random while it trains
    own = seen_by(recipe, drawing, digits, tmp_path / "adl", monkeypatch)
    assert plain == own
    assert len(set(plain)) == len(plain) == 6 + 1  # steps, and the test images in one batch


def test_images_in_memory_that_are_read_once_give_the_same_run(images, digits, tmp_path) -> None:
    recipe, arm = in_memory(), Arm(label="se", attention="se")
    memory = read_once(recipe, digits)
    assert memory is not None
    one = run(recipe, arm, 0, tmp_path / "one", data=digits, memory=memory)
    two = run(recipe, arm, 0, tmp_path / "two", data=digits)
    assert (one["split"], one["images"]) == ("test", 20)
    assert {**one, "seconds": 0} == {**two, "seconds": 0}


def test_a_comparison_that_is_stopped_goes_on_to_the_same_end(
    comparison, images, tmp_path, whole, monkeypatch
) -> None:
    step, steps = Trainer._advance, []

    def stop_in_the_second_run(self: Trainer, batch: Any) -> None:
        step(self, batch)
        steps.append(1)
        if len(steps) == 8:  # of six steps a run
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "_advance", stop_in_the_second_run)
    with pytest.raises(KeyboardInterrupt):
        run_all(comparison, where(tmp_path, images), ["cpu"], lambda found: None)
    assert [found["arm"] for found in kept(tmp_path)] == ["plain"]
    assert (tmp_path / "unfinished" / "se.0" / "checkpoint.pt").exists()
    run_all(comparison, where(tmp_path, images), ["cpu"], lambda found: None)
    assert len(steps) == 6 * 6  # no step was taken twice
    assert kept(tmp_path) == kept(whole(comparison))
    assert not (tmp_path / "unfinished").exists()


def test_every_arm_of_a_seed_comes_before_the_next_seed(comparison) -> None:
    assert [(arm.label, seed) for arm, seed in comparison.runs()] == [
        ("plain", 0), ("se", 0), ("eca", 0), ("plain", 1), ("se", 1), ("eca", 1),
    ]  # fmt: skip


def test_more_arms_and_seeds_may_follow(comparison, images, tmp_path, whole) -> None:
    first = replace(comparison, arms=comparison.arms[:1], seeds=1)
    more = replace(comparison, arms=comparison.arms[1:])
    run_all(first, where(tmp_path, images), ["cpu"], lambda found: None)
    before = (tmp_path / "runs" / "se.0.json").stat().st_mtime_ns
    grown = Folder(tmp_path).grown(more)
    assert [arm.label for arm in grown.everything] == ["plain", "se", "eca"]
    run_all(grown, where(tmp_path, images), ["cpu"], lambda found: None)
    assert (tmp_path / "runs" / "se.0.json").stat().st_mtime_ns == before
    assert kept(tmp_path) == kept(whole(comparison))


@pytest.mark.slow
def test_two_processes_share_the_runs(comparison, images, tmp_path, whole) -> None:
    run_all(comparison, where(tmp_path, images), ["cpu", "cpu"], print)
    assert kept(tmp_path) == kept(whole(comparison))


def test_a_run_that_another_process_does_is_left_to_it(comparison, tmp_path) -> None:
    arm = comparison.arms[0]
    with Folder(tmp_path).reserved(arm, 0) as mine, Folder(tmp_path).reserved(arm, 0) as second:
        assert (mine, second) == (True, False)
    with Folder(tmp_path).reserved(arm, 0) as mine:
        assert mine


def test_a_folder_belongs_to_one_recipe(comparison, tmp_path) -> None:
    Folder(tmp_path).claim(comparison)
    content = (tmp_path / "comparison.json").read_bytes()
    other = replace(comparison, recipe=replace(comparison.recipe, epochs=3))
    with pytest.raises(CheckpointError, match="another recipe"):
        Folder(tmp_path).claim(other)
    moved = replace(comparison, arms=(replace(comparison.arms[0], sites="stage"),))
    with pytest.raises(CheckpointError, match="se was compared with other places"):
        Folder(tmp_path).claim(moved)
    assert (tmp_path / "comparison.json").read_bytes() == content


def test_a_folder_of_something_else_is_left_alone(comparison, tmp_path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(CheckpointError, match="not that of a comparison"):
        Folder(tmp_path).claim(comparison)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_damaged_run_is_named(comparison, tmp_path) -> None:
    folder = Folder(tmp_path)
    folder.claim(comparison)
    folder.add(comparison.arms[0], 0, {"arm": "se", "seed": 0})
    (tmp_path / "runs" / "se.0.json").write_text('{"arm"')
    with pytest.raises(CheckpointError, match=r"se\.0\.json cannot be read"):
        folder.runs()


def split_of(recipe: Recipe, data: Path) -> tuple[str, int]:
    prepared = prepare(recipe, data, join("cpu"), 0)
    name, found = measured_on(prepared, recipe, data)
    return name, len(found)


def test_the_test_split_is_measured(comparison, images) -> None:
    assert split_of(comparison.recipe, images) == ("test", 30)


def test_without_it_the_validation_split_or_the_held_out_part_is(comparison, tmp_path) -> None:
    write_images(tmp_path / "split" / "train", 4, 0)
    write_images(tmp_path / "split" / "val", 3, 1)
    assert split_of(comparison.recipe, tmp_path / "split") == ("val", 9)
    write_images(tmp_path / "whole", 8, 0)
    assert split_of(comparison.recipe, tmp_path / "whole") == ("held out", 3)
    best = replace(comparison.recipe, keep="best")
    with pytest.raises(DataError, match="flatters every arm"):
        split_of(best, tmp_path / "whole")


def test_a_test_split_with_other_classes_is_refused(comparison, tmp_path) -> None:
    write_images(tmp_path / "train", 4, 0)
    write_images(tmp_path / "test", 4, 0, COLOURS[:2])
    with pytest.raises(DataError, match="other classes than the training split: red"):
        split_of(comparison.recipe, tmp_path)


def test_a_test_split_that_cannot_be_read_is_not_passed_over(comparison, images, tmp_path) -> None:
    write_images(tmp_path / "train", 4, 0)
    write_images(tmp_path / "test", 4, 0)
    (tmp_path / "test" / "red" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0\.png"):
        split_of(comparison.recipe, tmp_path)
    write_digits(tmp_path / "digits")
    (tmp_path / "digits" / "t10k-images-idx3-ubyte.gz").write_bytes(b"damaged")
    with pytest.raises(DataError, match="not a whole IDX file"):
        split_of(in_memory(), tmp_path / "digits")


def test_images_in_memory_without_a_test_split_are_measured_on_those_held_out(tmp_path) -> None:
    write_digits(tmp_path)
    for file in tmp_path.glob("t10k*"):
        file.unlink()
    assert split_of(in_memory(), tmp_path) == ("held out", 10)


def test_a_class_called_test_is_no_split(comparison, tmp_path) -> None:
    write_images(tmp_path, 8, 0)
    (tmp_path / "red").rename(tmp_path / "test")
    assert split_of(comparison.recipe, tmp_path) == ("held out", 3)


def test_weights_of_the_best_epoch_are_measured_on_the_test_split(
    comparison, images, tmp_path
) -> None:
    best = replace(comparison.recipe, keep="best")
    found = run(best, comparison.arms[0], 0, tmp_path, data=images, workers=0)
    assert found["split"] == "test"
    model = zoo.create_model("se_cifar_resnet", weights=tmp_path / "model.safetensors")
    measured = evaluate(model, open_data(images, "test"), device="cpu", workers=0)
    assert found["accuracy"] == pytest.approx(measured.top1, abs=0.01)


def test_one_class_alone_is_refused_before_anything_is_written(comparison, tmp_path) -> None:
    write_images(tmp_path / "one" / "train", 4, 0, ("red",))
    with pytest.raises(DataError, match="only one class"):
        look(comparison, where(tmp_path / "out", tmp_path / "one"), "cpu")
    assert not (tmp_path / "out").exists()


def test_the_record_of_a_run_says_where_the_attention_is(comparison, whole) -> None:
    folder = whole(comparison)
    found = json.loads((folder / "runs" / "se.1.json").read_text())
    assert found["sites"] == ["layer1.0.se", "layer2.0.se", "layer3.0.se"]
    assert (found["steps"], found["split"], found["images"]) == (6, "test", 30)
