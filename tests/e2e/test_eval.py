"""`zoo eval` as a user runs it: one process and two, good data and bad."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import warm
from PIL import Image
from safetensors.torch import save_file

import zoo
from zoo.cli import main
from zoo.data.mnist import load

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """An untrained `ram_mnist`, as a file."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "ram.safetensors"
    save_file(zoo.create_model("ram_mnist").state_dict(), path)
    return path


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    """Sixty digits in a folder, ten classes; two more files are no images."""
    root = tmp_path_factory.mktemp("data") / "digits"
    images, labels = load("test")
    for index in [i for k in range(10) for i in (labels == k).nonzero()[0][:6]]:
        folder = root / str(labels[index])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[index]).save(folder / f"{index}.png")
    (root / "3" / "broken.png").write_bytes(b"\x89PNG\r\n")
    (root / "8" / "empty.png").write_bytes(b"")
    return root


@pytest.fixture
def run(monkeypatch, capsys):
    """`zoo eval ...` in this process: exit code, stdout, stderr."""
    # pytest has loaded torch, so the setting of the command changes nothing here.
    monkeypatch.setenv("OMP_WAIT_POLICY", os.environ.get("OMP_WAIT_POLICY", "PASSIVE"))

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zoo", "eval", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
            raise SystemExit(0)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def launch(
    *arguments: object, launcher: tuple[str, ...] = (), stdout: str | None = None
) -> subprocess.CompletedProcess[str]:
    command = [*launcher, "-m", "zoo", "eval", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return warm.run(command, cwd=ROOT, env=environment, timeout=280, stdout=stdout)


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.mark.slow
def test_two_processes_measure_what_one_does(run, weights, digits, tmp_path):
    record = tmp_path / "two.json"
    arguments = ("ram_mnist", "--weights", weights, "--data", digits, "--batch-size", 7)
    two = launch(*arguments, "--record", record, "--workers", 0, "--json", launcher=TORCHRUN)
    assert two.returncode == 0, two.stderr
    code, out, _ = run(*arguments, "--workers", 0, "--json")
    one, other = json.loads(out), json.loads(record.read_text())
    assert code == 0 and (one["processes"], other["processes"]) == (1, 2)
    assert one["data"] == other["data"] and one["metrics"] == other["metrics"]
    assert other["data"]["count"] == 60 and other["data"]["skipped"] == 2
    assert json.loads(two.stdout) == other  # printed once


@pytest.mark.slow
def test_two_processes_count_sequences_as_one_does(run, tmp_path):
    torch.manual_seed(0)
    weights = tmp_path / "pairs.safetensors"
    save_file(zoo.create_model("dram_mnist_pairs").state_dict(), weights)
    arguments = ("dram_mnist_pairs", "--weights", weights, "--data", "mnist_pairs")
    arguments += ("--limit", 40, "--batch-size", 7, "--workers", 0, "--json")
    two = launch(*arguments, launcher=TORCHRUN)
    assert two.returncode == 0, two.stderr
    code, out, _ = run(*arguments)
    one, other = json.loads(out), json.loads(two.stdout)
    assert code == 0 and (one["processes"], other["processes"]) == (1, 2)
    assert one["metrics"] == other["metrics"] and 0 < one["metrics"]["label_accuracy"] < 100
    assert other["data"]["count"] == 40


def test_a_rank_alone_is_one_process(run, weights, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    code, out, _ = run("ram_mnist", "--weights", weights, "--limit", 20, "--json")
    assert code == 0 and json.loads(out)["data"]["count"] == 20


SETTINGS = {
    "input_size": ("--input-size", 3, 40, 56),
    "mean": ("--mean", 0.1, 0.2, 0.3),
    "std": ("--std", 0.5),
    "crop_pct": ("--crop-pct", 0.7),
    "interpolation": ("--interpolation", "nearest"),
}


def test_image_settings_are_timms(run, tmp_path):
    """timm's transform with the same settings, before the same model: the same classes."""
    torch.manual_seed(0)
    model = timm.create_model("test_efficientnet")
    with torch.no_grad():
        model.classifier.weight.mul_(50)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    noise = np.random.default_rng(0).integers(0, 256, (20, 50, 70, 3), dtype=np.uint8)
    settings = {"input_size": (3, 40, 56), "mean": (0.1, 0.2, 0.3), "std": (0.5,) * 3,
                "crop_pct": 0.7, "interpolation": "nearest"}  # fmt: skip
    transform = timm.data.create_transform(**settings)
    x = torch.stack([transform(Image.fromarray(pixels)) for pixels in noise])
    with torch.inference_mode():
        seen = model.eval()(x).argmax(1).tolist()
    assert len(set(seen)) > 1
    for number, (pixels, label) in enumerate(zip(noise, seen, strict=True)):
        folder = tmp_path / "data" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    arguments = [word for words in SETTINGS.values() for word in words]
    arguments += ["test_efficientnet", "--weights", tmp_path / "w.safetensors"]
    code, out, err = run(*arguments, "--data", tmp_path / "data", "--workers", 0, "--json")
    assert code == 0, err
    record = json.loads(out)
    assert record["metrics"]["top1"] == 100
    used = record["preprocessing"]
    assert json.loads(json.dumps(settings)) == {key: used[key] for key in settings}


@pytest.mark.slow
def test_strict_ends_both_processes(weights, digits):
    arguments = ("ram_mnist", "--weights", weights, "--data", digits, "--batch-size", 7)
    two = launch(*arguments, "--workers", 0, "--strict", launcher=TORCHRUN)
    assert two.returncode != 0 and "broken.png" in two.stderr


def test_json_alone_is_on_stdout(weights, tmp_path):
    """A new process: no library's message may reach stdout."""
    arguments = ("ram_mnist", "--weights", weights, "--limit", 100)
    done = launch(*arguments, "--json", "--progress", "--record", tmp_path / "r.json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record == json.loads((tmp_path / "r.json").read_text())
    assert record["data"]["name"] == "mnist" and record["data"]["split"] == "test"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert record["weights"]["sha256"] == digest and record["weights"]["source"] == "file"
    assert "mnist" in done.stderr  # the progress bar


def test_the_result_is_that_of_the_model(run, weights):
    """Percentages against the model called by hand."""
    code, out, _ = run("ram_mnist", "--weights", weights, "--limit", 300, "--json")
    images, labels = load("test")
    model = zoo.create_model("ram_mnist", weights=str(weights)).eval()
    with torch.inference_mode():
        logits = model(torch.from_numpy(images[:300].copy())[:, None] / 255)
    top = logits.topk(5).indices == torch.from_numpy(labels[:300])[:, None]
    metrics = json.loads(out)["metrics"]
    assert code == 0
    assert metrics["top1"] == pytest.approx(100 * float(top[:, 0].float().mean()))
    assert metrics["top5"] == pytest.approx(100 * float(top.any(1).float().mean()))


def test_text_says_the_error_and_names_what_was_skipped(run, weights, digits):
    code, out, err = run("ram_mnist", "--weights", weights, "--data", digits, "--workers", 0)
    assert code == 0 and "error" in out and "60 images, 2 skipped" in out
    assert "3/broken.png" in err and "8/empty.png" in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--data", "/no/such/folder"), 1, "no such folder"),
        (("--data", "mnits"), 2, "mnist"),
        (("--split", "val"), 1, "--split"),
        (("--device", "nonsense"), 2, "nonsense"),
        (("--batch-size", "0"), 2, "batch-size"),
        (("--picture", "x.xyz"), 2, "picture format"),
        (("--record", "."), 2, "--record"),
        (("--crop-pct", "0"), 2, "crop-pct"),
        (("--input-size", "3", "28", "28"), 2, "takes 1 channels"),
        (("--mean", "0.5", "0.5"), 2, "2 values of mean"),
        (("--std", "0"), 2, "std"),
        (("--mean", "dark"), 2, "mean"),
        (("--interpolation", "best"), 2, "interpolation"),
        (("--weights", "/no/such/file.safetensors"), 1, "file.safetensors"),
    ],
)
def test_wrong_calls(run, weights, arguments, code, message):
    if "--weights" not in arguments:
        arguments = ("--weights", weights, *arguments)
    ended, out, err = run("ram_mnist", "--limit", 10, *arguments)
    assert ended == code and message in err and not out


def test_a_failure_leaves_no_files(run, weights, digits, tmp_path):
    arguments = ("--weights", weights, "--data", digits, "--workers", 0, "--strict")
    code, _, _ = run("ram_mnist", *arguments, "--record", tmp_path / "r.json")
    assert code == 1 and not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("full", ["--record", "--picture"])
def test_what_can_be_kept_of_a_finished_evaluation_is_kept(run, weights, digits, tmp_path, full):
    """One of the files meets a full disk: the result is printed, the other file is written."""
    links = {"--record": tmp_path / "record.json", "--picture": tmp_path / "picture.png"}
    links[full].symlink_to("/dev/full")
    other = next(path for option, path in links.items() if option != full)
    files = [text for pair in links.items() for text in pair]
    code, out, err = run("ram_mnist", "--weights", weights, "--data", digits, *files)
    assert code == 1 and "top-1" in out
    assert err.count("error: ") == 1 and f"{links[full]}: No space left" in err
    assert other.stat().st_size > 1000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_result_that_cannot_be_printed_is_recorded(weights, tmp_path):
    record = tmp_path / "record.json"
    arguments = ["ram_mnist", "--weights", weights, "--limit", "20", "--record", record]
    done = launch(*arguments, stdout="/dev/full")
    assert done.returncode == 1
    assert done.stderr == "error: the output cannot be written: No space left on device\n"
    data = json.loads(record.read_text())["data"]
    assert (data["count"], data["limit"]) == (20, 20)


def test_a_name_that_is_not_utf8_loses_nothing(run, weights, tmp_path):
    for name, content in ((b"0", None), (b"1", None), (b"1/bad\xff.png", b"no image")):
        path = os.path.join(os.fsencode(tmp_path), name)
        os.mkdir(path) if content is None else Path(os.fsdecode(path)).write_bytes(content)
    for digit in "01":
        Image.new("L", (28, 28)).save(tmp_path / digit / "0.png")
    for extra in "23456789":
        (tmp_path / extra).mkdir()
        Image.new("L", (28, 28)).save(tmp_path / extra / "0.png")
    record = tmp_path / "record.json"
    call = ("ram_mnist", "--weights", weights, "--data", tmp_path, "--record", record)
    for more in ((), ("--json",)):
        code, out, err = run(*call, *more)
        assert code == 0, err
        assert "bad\\udcff.png" in err
        (skipped,) = json.loads(record.read_bytes())["data"]["skipped_images"]
        assert os.fsencode(skipped["name"]).endswith(b"bad\xff.png")
    assert json.loads(out)["data"]["count"] == 10


def test_a_limit_that_is_all_is_none(run, weights, digits):
    for limit, stated, text in (("20", 20, "the first 20 images"), ("62", None, "60 images")):
        call = ("ram_mnist", "--weights", weights, "--data", digits, "--limit", limit)
        assert text in run(*call)[1]
        assert json.loads(run(*call, "--json")[1])["data"]["limit"] == stated


def test_a_folder_of_other_classes(run, weights, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("L", (28, 28)).save(tmp_path / name / "0.png")
    code, _, err = run("ram_mnist", "--weights", weights, "--data", tmp_path)
    assert code == 1 and "2 classes and the model 10" in err


def test_the_picture_shows_where_it_looked(run, weights, tmp_path):
    picture = tmp_path / "glimpses.png"
    code, _, err = run("ram_mnist", "--weights", weights, "--limit", 8, "--picture", picture)
    assert code == 0, err
    with Image.open(picture) as image:
        image.load()
        colours = image.convert("RGB").getcolors(1 << 20)
    assert len(colours or ()) > 50 and [p.name for p in tmp_path.iterdir()] == ["glimpses.png"]
