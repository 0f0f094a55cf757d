"""Files of weights say what they are: classes, form, options, by metadata or their tensors."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

import zoo
from zoo.errors import ConfigError, OptionError, UsageError, WeightsMismatchError, ZooError
from zoo.weights.model_file import read_statement

pytestmark = pytest.mark.long

SMALL = "eca_test_resnet"


def save(state: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> Path:
    """A state dict as users write one, with no word of what it is."""
    save_file({key: tensor.clone() for key, tensor in state.items()}, path, metadata)
    return path


def trained(name: str, seed: int = 0, **options: Any) -> nn.Module:
    """A model with nothing at its start: gates, residual weights and statistics have moved."""
    torch.manual_seed(seed)
    model = zoo.create_model(name, **options).eval()
    for tensor in model.state_dict().values():
        if tensor.is_floating_point() and tensor.numel() > 1:
            tensor.add_(0.05 * torch.rand_like(tensor))
    for key, tensor in model.named_parameters():
        if key.endswith(".alpha"):
            tensor.data.fill_(0.3)
    return model


def logits(model: nn.Module) -> Tensor:
    size = model.pretrained_cfg["input_size"]  # type: ignore[index]
    x = torch.randn(2, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model.eval()(x)


@pytest.mark.parametrize(
    "name",
    [SMALL, "eca_test_convnext", "test_vit", "multi_head_test_vit", "ram_28", "se_resnet20_cifar",
     "slot_cnn_64", "regnety_002", "levit_128s", "abn_resnet18"],
)  # fmt: skip
def test_a_model_has_the_classes_of_its_file(name: str, tmp_path: Path) -> None:
    model = trained(name, num_classes=3)
    again: Any = zoo.create_model(
        name, weights=save(model.state_dict(), tmp_path / "x.safetensors")
    )
    assert again.num_classes == 3 and again.zoo.untrained == ()
    assert again.pretrained_cfg["num_classes"] == 3
    torch.testing.assert_close(logits(again), logits(model))


def test_another_number_of_classes_is_said(tmp_path: Path, caplog: Any) -> None:
    file = save(trained(SMALL, num_classes=3).state_dict(), tmp_path / "x.safetensors")
    with caplog.at_level(logging.WARNING, "zoo"):
        model: Any = zoo.create_model(SMALL, weights=file, num_classes=5)
    assert model.num_classes == 5 and model.zoo.untrained == ("classifier",)
    assert "of 5 classes, is new and untrained; that of x.safetensors has 3" in caplog.text


def test_a_file_without_a_classifier_gives_none(tmp_path: Path, caplog: Any) -> None:
    file = save(trained(SMALL, num_classes=0).state_dict(), tmp_path / "x.safetensors")
    with caplog.at_level(logging.WARNING, "zoo"):
        assert zoo.create_model(SMALL, weights=file).num_classes == 0
    assert "has no classifier" in caplog.text
    model: Any = zoo.create_model(SMALL, weights=file, num_classes=4)
    assert model.zoo.untrained == ("classifier",)


FORMS = [
    (SMALL, "exact"), ("cbam_test_resnet", "exact"), ("cbam_test_resnet", "residual"),
    ("simam_test_resnet", "residual"), ("sk_test_resnet", "residual"),
    ("efficient_test_vit", "exact"), ("multi_head_test_vit", "residual"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_the_tensors_tell_the_form(name: str, form: str, tmp_path: Path) -> None:
    model: Any = trained(name, insertion=form, num_classes=3)
    file = save(model.state_dict(), tmp_path / "x.safetensors")
    again: Any = zoo.create_model(name, weights=file)
    assert again.zoo.insertion == model.zoo.insertion
    torch.testing.assert_close(logits(again), logits(model))


OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("cbam_test_resnet", {"attention_options": {"reduction": 8}, "sites": ["layer2"]}),
    ("test_resnet", {"attention": "se", "sites": "stage", "insertion": "exact"}),
    ("multi_head_test_vit", {"insertion": "exact", "img_size": 96}),
    ("ram_28", {"num_glimpses": 3, "hidden_size": 32}),
    ("fca_resnet50", {"depth": 18, "dct_size": {"64": 7, "128": 7, "256": 7, "512": 7}}),
    (SMALL, {"in_chans": 1, "drop_rate": 0.5}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=lambda value: str(value)[:30])
def test_a_saved_model_comes_back_from_its_file_alone(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    model: Any = trained(name, num_classes=3, **options)
    file = zoo.save_model(model, tmp_path / "x.safetensors")
    statement = read_statement(file)
    assert statement is not None and statement.input["input_size"]
    again: Any = zoo.create_model(
        statement.name, weights=file, attention=statement.arguments.get("attention")
    )
    same = ("attention", "attention_options", "sites", "insertion")
    assert [getattr(again.zoo, k) for k in same] == [getattr(model.zoo, k) for k in same]
    assert again.num_classes == 3 and again.in_chans == options.get("in_chans", again.in_chans)
    channels = options.get("in_chans", model.pretrained_cfg["input_size"][0])
    x = torch.randn(2, channels, *model.pretrained_cfg["input_size"][1:])
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(x), model(x))


@pytest.mark.parametrize("write", ["model", "attention"])
def test_how_tensors_lie_in_memory_does_not_matter(write: str, tmp_path: Path) -> None:
    """Channels-last tensors, and two names of one."""
    model: Any = trained(SMALL, num_classes=3).to(memory_format=torch.channels_last)  # pyright: ignore
    if write == "model":
        model.again = model.layer1
        with safe_open(zoo.save_model(model, tmp_path / "x.safetensors"), "pt") as file:
            found = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        assert found.keys() == model.state_dict().keys()
    else:
        zoo.add_attention(model, "cbam", at="layer2", example=torch.randn(1, 3, 32, 32))
        model.to(memory_format=torch.channels_last)
        with safe_open(zoo.save_attention(model, tmp_path / "x.safetensors"), "pt") as file:
            found = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    assert found and all(torch.equal(t, model.state_dict()[key]) for key, t in found.items())


def test_what_is_asked_for_goes_before_what_the_file_states(tmp_path: Path) -> None:
    model = trained("cbam_test_resnet", insertion="exact", drop_rate=0.5, num_classes=3)
    file = zoo.save_model(model, tmp_path / "x.safetensors")
    assert zoo.create_model("cbam_test_resnet", weights=file, drop_rate=0.1).drop_rate == 0.1
    with pytest.raises(WeightsMismatchError, match="insertion='exact'"):
        zoo.create_model("cbam_test_resnet", weights=file, insertion="plain")


def test_a_file_of_another_model_is_taken_only_with_a_word(tmp_path: Path, caplog: Any) -> None:
    file = zoo.save_model(trained("simam_test_resnet"), tmp_path / "x.safetensors")
    with caplog.at_level(logging.WARNING, "zoo"):
        zoo.create_model("test_resnet", weights=file)  # simam has no parameters: the keys fit
    assert "says that it is of simam_test_resnet" in caplog.text


@pytest.mark.parametrize(
    "text",
    ["{", "[1]", '{"name": 1}', '{"name": "../x"}', '{"name": "a", "options": [1]}',
     '{"name": "test_resnet", "options": {"weights": "/etc/passwd"}}',
     '{"name": "test_resnet", "options": {"backbone_weights": "/etc/passwd"}}',
     '{"name": "test_resnet", "options": {"checkpoint_path": "/etc/passwd"}}',
     '{"name": "test_resnet", "options": {"depth": 1e99}}', "[" * 100_000],
    ids=lambda text: text[:60],
)  # fmt: skip
def test_metadata_is_data_within_bounds(text: str, tmp_path: Path) -> None:
    file = save(trained(SMALL).state_dict(), tmp_path / "x.safetensors", {"zoo": text})
    with pytest.raises(ConfigError):
        zoo.create_model("test_resnet", weights=file)


@pytest.mark.parametrize(
    ("name", "keyword"),
    [(SMALL, "pretrained_cfg"), (SMALL, "pretrained_cfg_overlay"),
     ("test_resnet", "pretrained_cfg"), ("test_resnet", "pretrained_cfg_overlay"),
     ("cnn2_mnist", "pretrained_cfg_overlay")],
)  # fmt: skip
def test_settings_of_images_that_the_user_gave_come_back_as_the_files(
    name: str, keyword: str, tmp_path: Path
) -> None:
    given = {"mean": (0.3,) * 3, "std": (0.2,) * 3, "interpolation": "bilinear"}
    model = zoo.create_model(name, **{keyword: given})
    file = zoo.save_model(model, tmp_path / "own.safetensors")
    again = zoo.create_model(str(file))
    assert {key: again.pretrained_cfg[key] for key in given} == given
    assert again.pretrained_cfg["input_size"] == model.pretrained_cfg["input_size"]


def test_what_cannot_be_stated_is_not_saved(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    with pytest.raises(UsageError, match="not built by"):
        zoo.save_model(timm.create_model("test_resnet"), file)
    with pytest.raises(UsageError, match="safetensors"):
        zoo.save_model(trained(SMALL), tmp_path / "x.pth")
    with pytest.raises(OptionError, match="plain data"):
        zoo.save_model(zoo.create_model(SMALL, act_layer=nn.SiLU), file)
    zoo.save_model(zoo.create_model(SMALL, device="cpu", dtype=torch.float32), file)
    with safe_open(file, "pt") as opened:
        assert "device" not in json.loads(opened.metadata()["zoo"])["options"]


PREFIXES = ["module.", "_orig_mod.", "model.", "_orig_mod.module.", "module._orig_mod.", "net."]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_names_of_wrappers_are_taken_off(prefix: str, tmp_path: Path) -> None:
    model = trained(SMALL, num_classes=3)
    state = {prefix + key: tensor for key, tensor in model.state_dict().items()}
    again = zoo.create_model(SMALL, weights=save(state, tmp_path / "x.safetensors"))
    assert torch.equal(logits(again), logits(model))


def test_averaged_weights_of_torch_are_read(tmp_path: Path) -> None:
    model = trained(SMALL, num_classes=3)
    averaged = torch.optim.swa_utils.AveragedModel(model)
    again = zoo.create_model(SMALL, weights=save(averaged.state_dict(), tmp_path / "x.safetensors"))
    assert torch.equal(logits(again), logits(model))


def test_a_prefix_of_some_keys_is_a_mismatch(tmp_path: Path) -> None:
    state = dict(trained(SMALL).state_dict())
    state["module.fc.weight"] = state.pop("fc.weight")
    file = save(state, tmp_path / "x.safetensors")
    with pytest.raises(WeightsMismatchError, match=r"fc\.weight.*module\.fc\.weight"):
        zoo.create_model(SMALL, weights=file)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tensor]:
    """A file of a plain network of three classes, and its logits."""
    model = trained("test_resnet", num_classes=3)
    path = tmp_path_factory.mktemp("backbone") / "backbone.safetensors"
    return save(model.state_dict(), path), logits(model)


@pytest.mark.parametrize("name", ["cbam_test_resnet", "simam_test_resnet", "sk_test_resnet"])
@pytest.mark.parametrize("pretrained", [True, False])
def test_a_warm_start_from_a_file(
    name: str, pretrained: bool, backbone: tuple[Path, Tensor], caplog: Any
) -> None:
    file, expected = backbone
    with caplog.at_level(logging.WARNING, "zoo"):
        model: Any = zoo.create_model(name, pretrained, backbone_weights=file)
    torch.testing.assert_close(logits(model), expected, rtol=1e-4, atol=1e-4)
    assert model.zoo.untrained == ("attention",) and model.num_classes == 3
    assert "those of backbone.safetensors; the attention" in caplog.text


def test_a_warm_start_of_another_number_of_classes(backbone: tuple[Path, Tensor]) -> None:
    model: Any = zoo.create_model("se_test_resnet", backbone_weights=backbone[0], num_classes=9)
    assert model.num_classes == 9 and model.zoo.untrained == ("classifier", "attention")


def test_files_of_the_other_kind_are_refused(backbone: tuple[Path, Tensor], tmp_path: Path) -> None:
    file = backbone[0]
    with pytest.raises(UsageError, match="both say what to load"):
        zoo.create_model(SMALL, weights=file, backbone_weights=file)
    with pytest.raises(UsageError, match="has no backbone"):
        zoo.create_model("ram_28", backbone_weights=file)
    with pytest.raises(WeightsMismatchError, match="backbone_weights="):
        zoo.create_model(SMALL, weights=file)
    own = save(trained(SMALL, num_classes=3).state_dict(), tmp_path / "own.safetensors")
    with pytest.raises(WeightsMismatchError, match="not of this model"):
        zoo.create_model(SMALL, backbone_weights=own)


def test_checkpoint_path_does_not_wreck_a_model(backbone: tuple[Path, Tensor]) -> None:
    file, expected = str(backbone[0]), backbone[1]
    with pytest.raises(UsageError, match="would move its logits") as caught:
        zoo.create_model(SMALL, checkpoint_path=file, num_classes=3)
    assert "backbone_weights=FILE" in caught.value.remedy
    with pytest.raises(UsageError, match="for what timm builds") as caught:
        zoo.create_model("ram_28", checkpoint_path=file)
    assert caught.value.remedy == "weights=FILE"
    started = {"checkpoint_path": file, "num_classes": 3}
    warm = zoo.create_model("cbam_test_resnet", insertion="exact", **started)
    torch.testing.assert_close(logits(warm), expected, rtol=1e-4, atol=1e-4)
    plain = zoo.create_model("test_resnet", **started)
    torch.testing.assert_close(logits(plain), expected)


@pytest.mark.parametrize("name", ["cbam_test_resnet", "halo_test_resnet", "smyrf_test_vit"])
@pytest.mark.parametrize("form", ["plain", "residual"])
def test_device_and_dtype_reach_the_attention(name: str, form: str) -> None:
    half = zoo.create_model(name, insertion=form, dtype=torch.bfloat16)
    floats = [t for t in half.state_dict().values() if t.is_floating_point()]
    assert {t.dtype for t in floats} == {torch.bfloat16}
    meta = zoo.create_model(name, insertion=form, device="meta")
    assert {t.device.type for t in meta.state_dict().values()} == {"meta"}


def test_device_and_dtype_of_loaded_weights(backbone: tuple[Path, Tensor]) -> None:
    options: dict[str, Any] = {"device": torch.device("cpu"), "dtype": torch.float64}
    model = zoo.create_model("cbam_test_resnet", backbone_weights=backbone[0], **options)
    assert {t.dtype for t in model.parameters()} == {torch.float64}
    assert not {"device", "dtype"} & model.zoo.options.keys()  # type: ignore[operator]


def test_every_error_is_the_project_s(tmp_path: Path) -> None:
    """A filter of timm's that cannot read the tensors."""
    file = save({"model.x": torch.ones(1)}, tmp_path / "x.safetensors")
    for name in ("regnety_002", "test_vit", "crossvit_tiny_240", "test_convnext", "ram_28"):
        with pytest.raises(ZooError):
            zoo.create_model(name, weights=file)
