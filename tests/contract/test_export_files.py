"""`zoo.export`: files that other programs read, equal to the model, or nothing at all."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.cli import main
from zoo.errors import ExportError, UsageError, WeightsNotFoundError, ZooError
from zoo.export import formats
from zoo.export.facts import facts_of

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]
TINY: dict[str, Any] = {"num_classes": 3, "img_size": 32}


class Own(nn.Module):
    """A network as users write them, of an image and of words."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.words = nn.Embedding(9, 16)

    def forward(self, image: Tensor, words: Tensor) -> dict[str, Tensor]:
        """{"map": (B, 16, H, W), "word": (B,)}."""
        y = self.norm(self.conv(image)) + self.words(words).mean(1)[:, :, None, None]
        return {"map": y, "word": y.mean((2, 3)).argmax(1)}


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if float(x.sum()) > 0 else x


class Draws(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


class Overflows(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / 0


def own() -> tuple[nn.Module, dict[str, Tensor]]:
    """With attention that is not where it started, in training but for its norm."""
    torch.manual_seed(0)
    model = Own()
    example = {"image": torch.rand(2, 3, 12, 12), "words": torch.randint(9, (2, 4))}
    zoo.add_attention(model, "cbam", at="conv", example=example, insertion="plain")
    model.train().norm.eval()
    return model, example


def other(batch: int = 4) -> tuple[Tensor, Tensor]:
    """An input of a size that no export has seen."""
    return torch.rand(batch, 3, 20, 28), torch.randint(9, (batch, 4))


def run(model: nn.Module, *inputs: Any) -> list[Tensor]:
    with torch.no_grad():
        return list(model.eval()(*inputs).values())


def test_onnx_of_a_model_of_ones_own(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    model, example = own()
    file = tmp_path / "own.onnx"
    made = zoo.export(model, file, example=example, dynamic_size=True)
    assert model.training and model.conv.training and not model.norm.training
    session = runtime.InferenceSession(str(file))
    image, words = other()
    found = session.run(None, {"image": image.numpy(), "words": words.numpy()})
    for ours, theirs in zip(found, run(model, image, words), strict=True):
        torch.testing.assert_close(torch.from_numpy(ours), theirs, rtol=1e-4, atol=1e-5)
    proto = onnx.load(file)
    assert made.opset == proto.opset_import[0].version
    assert {p.key: p.value for p in proto.metadata_props}["model"] == "Own"
    shapes = [[d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim]
              for i in proto.graph.input]  # fmt: skip
    assert shapes == [["batch", 3, "height", "width"], ["batch", 4]]
    assert [port.shape for port in made.inputs] == shapes
    assert [port.shape for port in made.outputs] == [["batch", 16, "any", "any"], ["batch"]]
    assert [d.shapes[0][0] for d in made.differences] == [2, 3, 1] and 0 <= made.relative < 1e-4
    assert list(tmp_path.iterdir()) == [file] and made.size == file.stat().st_size


@pytest.mark.parametrize(("batch", "said"), [(None, "batch"), (2, 2)])
def test_only_the_batch_is_called_the_batch(batch: int | None, said: Any, tmp_path: Path) -> None:
    """Maps of 2 x 2, then of 4 x 3, while the batch is 2, then 3."""
    made = zoo.export(
        nn.MaxPool2d(32), tmp_path / "x.pt2", example=torch.rand(1, 3, 64, 64), dynamic_size=True,
        batch_size=batch,
    )  # fmt: skip
    assert made.outputs[0].shape == [said, 3, "any", "any"]


class Flagged(nn.Module):
    def forward(self, image: Tensor, double: bool = False, more: Any = None) -> Tensor:
        found = image.mean((2, 3)) if more is None else image.mean((2, 3)) + more[0] + more[1]
        return 2 * found if double else found


@pytest.mark.parametrize("ending", ["pt2", "onnx"])
def test_keywords_without_a_tensor_and_with_several(ending: str, tmp_path: Path) -> None:
    if ending == "onnx":
        pytest.importorskip("onnxruntime")
    image = torch.rand(1, 3, 4, 4)
    flagged = zoo.export(
        Flagged(), tmp_path / f"x.{ending}", example={"image": image, "double": True}
    )
    assert [port.name for port in flagged.inputs] == ["image"]
    more = [torch.rand(1, 3), torch.rand(1, 3)]
    several = zoo.export(
        Flagged(), tmp_path / f"x.{ending}", example={"image": image, "more": more}
    )
    assert [port.name for port in several.inputs] == ["image", "more_0", "more_1"]


def test_a_program_of_torch_export(tmp_path: Path) -> None:
    model, example = own()
    file = tmp_path / "own.pt2"
    zoo.export(model, file, example=example, dynamic_size=True)
    extra = {"zoo.json": ""}
    program: Any = torch.export.load(file, extra_files=extra).module()
    image, words = other()
    for ours, theirs in zip(program(image=image, words=words).values(), run(model, image, words),
                            strict=True):  # fmt: skip
        torch.testing.assert_close(ours, theirs)
    assert json.loads(extra["zoo.json"])["model"] == "Own"


def test_torchscript_is_scripted_or_else_traced(tmp_path: Path) -> None:
    model, example = own()
    traced = zoo.export(model, tmp_path / "own.pt", example=tuple(example.values()))
    assert traced.way == "trace" and "cannot be scripted" in traced.remarks[0]
    image, words = other()
    loaded: Any = torch.jit.load(tmp_path / "own.pt")
    torch.testing.assert_close(list(loaded(image, words).values()), run(model, image, words))
    named = zoo.create_model("se_test_resnet", **TINY)
    scripted = zoo.export(named, tmp_path / "named.torchscript")
    assert scripted.way == "script" and not scripted.remarks
    extra = {"zoo.json": ""}
    loaded = torch.jit.load(tmp_path / "named.torchscript", _extra_files=extra)
    x = torch.rand(5, 3, 48, 32)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), named.eval()(x))
    facts = json.loads(extra["zoo.json"])
    assert facts["model"] == "se_test_resnet" and facts["input_size"] == [3, 32, 32]
    assert len(facts["mean"]) == len(facts["std"]) == 3


def test_names_of_classes_and_half_precision(tmp_path: Path) -> None:
    model: Any = zoo.create_model("eca_test_resnet", **TINY).to(torch.bfloat16)
    model.pretrained_cfg.update(num_classes=3, label_names=["cat", "dog", "owl"])
    made = zoo.export(model, tmp_path / "half.pt2", batch_size=2)
    assert made.facts["classes"] == ["cat", "dog", "owl"]
    model.pretrained_cfg.update(label_names={"0": "cat", "2": "owl"})
    assert facts_of(model).data["classes"] == ["cat", "class 1", "owl"]
    assert made.inputs[0].dtype == "bfloat16" and made.inputs[0].shape == [2, 3, 32, 32]


@pytest.mark.parametrize(
    ("model", "name", "words"),
    [
        (Branches(), "x.pt2", "data-dependent"),
        (Branches(), "x.pt", "computes something else"),
        (Draws(), "x.pt2", "draws random numbers"),
        (Overflows(), "x.pt", "not finite"),
    ],
)
def test_what_does_not_agree_is_not_written(
    model: nn.Module, name: str, words: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(b"before")
    with pytest.raises(ExportError, match=words):
        format = "trace" if name == "x.pt" else None
        zoo.export(model, file, example=torch.rand(2, 3, 4, 4), format=format)
    assert list(tmp_path.iterdir()) == [file] and file.read_bytes() == b"before"


def test_a_program_that_differs_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.export import programs

    def wrong(order: programs.Order) -> programs.Program:
        with torch.no_grad():
            order.model.get_parameter("weight").mul_(1.001)
        try:
            return programs.traced(order)
        finally:
            with torch.no_grad():
                order.model.get_parameter("weight").div_(1.001)

    monkeypatch.setitem(programs.WAYS, "trace", wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ExportError, match="computes something else: the largest difference"):
        zoo.export(nn.Linear(4, 2), tmp_path / "x.pt", example=torch.rand(1, 4), format="trace")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"path": "x.txt"}, r"'.txt', which is of no format"),
        ({"path": "x"}, "no ending"),
        ({"path": "x.pt", "format": "tflite"}, "no format 'tflite'"),
        ({"path": "missing/x.pt"}, "does not exist"),
        ({"path": "."}, "is a folder"),
        ({"path": "x.pt", "batch_size": 0}, "batch_size=0"),
        ({"path": "x.pt", "model": "cbam_resnet18"}, "a str is no torch.nn.Module"),
        ({"path": "x.pt", "example": None}, "what Linear takes is not known"),
        ({"path": "x.pt", "dynamic_size": True}, "no image"),
        ({"path": "x.pt", "model": nn.Linear(2, 2, device="meta")}, "meta device"),
    ],
)
def test_wrong_calls(call: dict[str, Any], words: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"model": nn.Linear(2, 2), "example": torch.rand(1, 2), **call}
    with pytest.raises(UsageError, match=words):
        zoo.export(given.pop("model"), given.pop("path"), **given)
    assert not list(tmp_path.iterdir())


def test_a_size_that_is_fixed_is_not_made_free(tmp_path: Path) -> None:
    model = zoo.create_model("gaussian_test_resnet", **TINY)
    with pytest.raises(UsageError, match="built for images of 32 x 32"):
        zoo.export(model, tmp_path / "x.pt2", dynamic_size=True)


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None if "onnx" in name else name)
    with pytest.raises(ExportError, match="needs onnx, onnxscript and onnxruntime") as told:
        zoo.export(nn.Linear(2, 2), tmp_path / "x.onnx", example=torch.rand(1, 2))
    assert "attention-zoo[export]" in told.value.remedy


@pytest.fixture
def command(monkeypatch, capsys):
    """`zoo export ...` in this process: exit code, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zoo", "export", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
            raise SystemExit(0)
        return int(ended.value.code or 0), *capsys.readouterr()

    return call


def test_the_command_exports_a_file_of_weights(command, tmp_path: Path) -> None:
    model = zoo.create_model("se_test_resnet", **TINY)
    zoo.save_model(model, tmp_path / "own.safetensors")
    file = tmp_path / "own.torchscript"
    code, out, _ = command("se_test_resnet", file, "--weights", tmp_path / "own.safetensors",
                           "--img-size", 32)  # fmt: skip
    assert code == 0 and "output float32 (batch, 3)" in out and "TorchScript, scripted" in out
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        loaded: Any = torch.jit.load(file)
        torch.testing.assert_close(loaded(x), model.eval()(x))


def test_the_command_says_what_it_did_as_json(command, tmp_path: Path) -> None:
    arguments = ("se_test_resnet", tmp_path / "x.pt", "--format", "trace", "--img-size", "32")
    more = ("--num-classes", "4", "--untrained", "--json", "--batch-size", "2")
    code, out, _ = command(*arguments, *more)
    told = json.loads(out)
    assert code == 0 and told["way"] == "trace" and told["outputs"][0]["shape"] == [2, 4]
    assert told["relative"] < 1e-4 and told["facts"]["model"] == "se_test_resnet"


def test_the_command_never_takes_random_weights_for_granted(
    command, tmp_path: Path, monkeypatch
) -> None:
    def no_weights(*_: Any, **__: Any) -> nn.Module:
        raise WeightsNotFoundError("there are no weights of se_test_resnet")

    monkeypatch.setattr("zoo.build.create.create_model", no_weights)
    code, _, said = command("se_test_resnet", tmp_path / "x.pt")
    assert code == 1 and "--untrained" in said
    code, _, said = command("no_such_model", tmp_path / "missing" / "x.pt")
    assert code == 2 and "does not exist" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("asked", [["se_test_resnet", "--weights", "x"], ["x.safetensors"]])
def test_the_command_does_not_load_weights_beside_untrained(
    asked: list[str], command, tmp_path: Path
) -> None:
    name, *more = asked
    code, _, said = command(name, tmp_path / "x.pt", "--untrained", *more)
    assert code == 2 and "--untrained" in said and not list(tmp_path.iterdir())


def test_it_is_a_zoo_error() -> None:
    assert issubclass(ExportError, ZooError) and callable(zoo.export)
