"""The zoo's named models under timm's own names and rules (after timm's `tests/test_models.py`)."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import timm
import torch
import warm
from _pytest.mark import ParameterSet
from safetensors.torch import save_file
from timm.models import (
    get_model_input_config,
    get_pretrained_cfg_value,
    group_parameters,
    resolve_model_input_args,
)
from timm.optim import param_groups_layer_decay
from torchvision.models.feature_extraction import create_feature_extractor

import zoo
import zoo.timm_bridge
from zoo.build.timm_arguments import named_models
from zoo.errors import UsageError, ZooError
from zoo.registry import default_registry
from zoo.registry.specs import AttentionSpec
from zoo.registry.targets import resolve

pytestmark = pytest.mark.long

ELSEWHERE = (  # heat maps; the code of axial_resnet26_s; the code of residual_attention_56
    "stacked_hourglass", "axial_resnet50", "residual_attention_1", "residual_attention_2",
    "residual_attention_4", "residual_attention_9", "residual_attention_next_9",
)  # fmt: skip
HEAVY = ("dvan_vgg16", "senet_154")  # 77 G and 21 G multiplications an image
NAMED = [
    n for n in zoo.list_models()
    if zoo.model_info(n)["kind"] == "soft" and not n.startswith(ELSEWHERE)
]  # fmt: skip


def depth(name: str) -> int:
    """The first number of two digits or more in a name: 101 of `cbam_resnet101`."""
    return int((re.findall(r"\d{2,}", name) or ["0"])[0])


def once_each(names: Iterable[str]) -> list[ParameterSet]:
    """The shallowest of those that one class and one attention make; the rest are slow tests, and
    so are the heaviest networks."""
    made: set[tuple[str, str]] = set()
    rows: list[ParameterSet] = []
    for name in sorted(names, key=depth):
        spec = default_registry().models[name]
        kind = (spec.target or spec.backbone.partition("net")[0], spec.attention)
        slow = kind in made or name in HEAVY
        rows.append(pytest.param(name, marks=[pytest.mark.slow] if slow else []))
        made.add(kind)
    return rows


named = pytest.mark.parametrize("name", once_each(NAMED))
with_maps = pytest.mark.parametrize(
    "name", once_each(n for n in NAMED if get_pretrained_cfg_value(n, "pool_size"))
)


def small(name: str) -> tuple[int, int, int]:
    channels, height, width = get_pretrained_cfg_value(name, "input_size")
    if get_pretrained_cfg_value(name, "fixed_input_size"):
        return channels, height, width
    least = (get_pretrained_cfg_value(name, "min_input_size") or (channels, 64, 64))[1]
    return channels, min(height, least), min(width, least)


@named
def test_is_registered_with_its_settings(name: str) -> None:
    assert timm.is_model(name) and name in timm.list_models(f"*{name}*")
    model = timm.create_model(name).eval()
    config, state = model.default_cfg, model.state_dict()
    assert config["architecture"] == name
    parts = [config[key] for key in ("classifier", "first_conv") if config[key]]
    assert parts and all(f"{part}.weight" in state for part in parts)
    for key in ("classifier", "first_conv", "fixed_input_size"):
        assert get_pretrained_cfg_value(name, key) == config[key], key
    model.reset_classifier(0)
    assert model(torch.randn(1, *small(name))).shape == (1, model.head_hidden_size)


@with_maps
def test_gives_its_last_map_unpooled(name: str) -> None:
    model = timm.create_model(name).eval()
    x = torch.randn(1, *small(name))
    maps = model.forward_features(x)
    if maps.ndim == 4:
        _, height, width = get_pretrained_cfg_value(name, "input_size")
        stride = (height // x.shape[2], width // x.shape[3])
        pool = get_pretrained_cfg_value(name, "pool_size")
        assert maps.shape[1:] == (model.num_features, pool[0] // stride[0], pool[1] // stride[1])
    model.reset_classifier(0, "")
    assert model(x).shape == maps.shape


@named
def test_every_parameter_has_a_gradient(name: str) -> None:
    model = timm.create_model(name, num_classes=42).train()
    out = model(torch.randn(2, *small(name)))
    assert out.shape == (2, 42) and torch.isfinite(out).all()
    out.mean().backward()
    objective = default_registry().models[name].objective
    if objective and any(p.grad is None for p in model.parameters()):  # heads of training only
        loss, _ = resolve(objective, name)(model)(
            torch.randn(2, *small(name)), torch.tensor([3, 4]), 0.5
        )
        loss.backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


@with_maps
def test_gives_features(name: str) -> None:
    model = timm.create_model(name, features_only=True).eval()
    maps = model(torch.randn(1, *small(name)))
    assert [m.shape[1] for m in maps] == model.feature_info.channels()


@pytest.mark.parametrize(
    "name",
    ["se_resnet50", "cbam_resnet18", "bam_resnet50", "gc_resnet50", "residual_attention_56"],
)
def test_can_be_traced_by_fx(name: str) -> None:
    from timm.models._features_fx import get_notrace_functions, get_notrace_modules

    model = timm.create_model(name).eval()
    tracer = {
        "leaf_modules": get_notrace_modules(),
        "autowrap_functions": get_notrace_functions(),
    }
    node = model.default_cfg["classifier"]
    traced = create_feature_extractor(model, [node], tracer_kwargs=tracer)
    x = torch.randn(1, *small(name))
    torch.testing.assert_close(next(iter(traced(x).values())), model(x))


@named
def test_a_new_classifier_is_where_the_old_one_was(name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name, dtype=torch.float64).eval()
    for classes in (0, 2):
        model.reset_classifier(classes)
    parameters = list(model.get_classifier().parameters())
    assert parameters and not any(module.training for module in model.modules())
    assert {(p.device.type, p.dtype) for p in parameters} == {("meta", torch.float64)}


@named
def test_learning_rates_can_decay_by_layer(name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name)
    if not hasattr(model, "group_matcher"):
        pytest.skip("has no groups")
    groups = param_groups_layer_decay(model, layer_decay=0.5)
    assert len({group["lr_scale"] for group in groups}) > 1


@pytest.mark.parametrize("name", ["ram_mnist", "dram_mnist_pairs"])
def test_hard_attention_has_groups_too(name: str) -> None:
    model = timm.create_model(name)
    for coarse in (False, True):
        groups = group_parameters(model, model.group_matcher(coarse=coarse), reverse=True)
        assert len(set(groups.values())) > 1
    assert timm.optim.create_optimizer_v2(model, "adamw", lr=0.1, layer_decay=0.5)


@pytest.mark.parametrize("name", ["se_resnet18", "cnn2_mnist", "ram_mnist"])
def test_an_option_that_is_not_known_is_a_type_error_as_timms(name: str) -> None:
    with pytest.raises(TypeError, match="not_an_option"):
        timm.create_model(name, not_an_option=1)


TIED = [
    spec for spec in default_registry().attentions.values()
    if spec.insertion.needs_size and spec.insertion.role in ("refine", "replace_conv")
]  # fmt: skip


@pytest.mark.parametrize("spec", TIED, ids=lambda spec: spec.name)
def test_a_size_that_is_fixed_is_said_before_and_after(spec: AttentionSpec) -> None:
    name = f"{spec.name}_test_resnet"
    zoo.timm_bridge.register(name)
    free = timm.models.get_pretrained_cfg("test_resnet").input_size
    asked = resolve_model_input_args(name, {"img_size": 64})
    model = timm.create_model(**{k: v for k, v in asked.items() if k != "pretrained_cfg"}).eval()
    fixed = get_model_input_config(model)["fixed_input_size"]
    assert (
        fixed
        == get_pretrained_cfg_value(name, "fixed_input_size")
        == (asked.get("img_size") is not None)
    )
    assert model.pretrained_cfg["fixed_input_size"] == fixed
    model(torch.randn(1, 3, 64, 64))
    if fixed:
        with pytest.raises(ZooError):
            model(torch.randn(1, *free))
    else:
        model(torch.randn(1, *free))


@pytest.mark.parametrize("name", ["se_resnet20_cifar", "eca_cifar_resnet", "cnn2_mnist"])
def test_a_file_fits_images_of_other_channels(name: str, tmp_path: Path) -> None:
    whole = zoo.create_model(name)
    file = tmp_path / "whole.safetensors"
    save_file(whole.state_dict(), file)
    channels = 4 - whole.in_chans  # of grey for colours and the other way
    model = zoo.create_model(name, weights=file, in_chans=channels)
    key = f"{model.pretrained_cfg['first_conv']}.weight"
    old, new = whole.state_dict()[key], model.state_dict()[key]
    assert new.shape[1] == channels
    torch.testing.assert_close(new.sum(1), old.sum(1))


def test_scripts_know_the_names_in_their_files(tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    names.write_text("model,img_size\neca_test_byobnet,64\nresnet18,64\n")
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        "epochs: 3\nmodel: 'simam_test_byobnet'\nkd-model-name: se_test_byobnet.tag\n"
    )
    compact = tmp_path / "settings.json"
    compact.write_text('{"lr": 0.1, "model": "cbam_test_byobnet", "model_ema": true}')
    found = named_models(
        ["--model-list", str(names), f"--config={settings}", "-c", str(compact), "--amp", "32"]
    )
    assert {"eca_test_byobnet", "simam_test_byobnet", "se_test_byobnet.tag"} <= set(found)
    assert {"resnet18", "cbam_test_byobnet", "32"} <= set(found) and "--amp" not in found


@pytest.mark.parametrize(
    ("option", "text"),
    [("--model-list", "simam_test_convnext2\n"), ("--config", "model: eca_test_convnext3\n")],
)
def test_a_script_builds_what_its_file_names(
    option: str,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    script, file = tmp_path / "build.py", tmp_path / "file"
    script.write_text("import timm; print(timm.is_model('simam_test_convnext2'))")
    file.write_text(
        "simam_test_convnext2" if option == "--model-list" else "model: simam_test_convnext2"
    )
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(sys, "path", list(sys.path))
    zoo.timm_bridge.main([str(script), option, str(file)])
    assert capsys.readouterr().out == "True\n"


def test_a_script_of_timm_runs_with_the_zoo_s_models(tmp_path: Path) -> None:
    script = tmp_path / "count.py"
    script.write_text(
        "import argparse, timm\n"
        "parser = argparse.ArgumentParser(); parser.add_argument('--model')\n"
        "model = timm.create_model(parser.parse_args().model)\n"
        "print(sum(p.numel() for p in model.parameters()))\n"
    )
    command = ["-m", "zoo.timm_bridge", script, "--model", "eca_resnet14t"]
    done = warm.run(command, check=True)
    assert int(done.stdout) == sum(
        p.numel() for p in zoo.create_model("eca_resnet14t").parameters()
    )


def test_the_bridge_refuses_what_is_not_a_script() -> None:
    with pytest.raises(UsageError, match="no script"):
        zoo.timm_bridge.main(["absent.py"])


TRAIN = """
import argparse, sys, timm, torch
from timm.utils import CheckpointSaver, ModelEmaV3
parser = argparse.ArgumentParser()
for name in ("--model", "--pretrained-path", "--output"):
    parser.add_argument(name)
args = parser.parse_args()
overlay = {"file": args.pretrained_path, "num_classes": -1}  # as timm's train.py
model = timm.create_model(args.model, pretrained=True, pretrained_cfg_overlay=overlay)
average = ModelEmaV3(model, decay=0.5)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
torch.manual_seed(0)
for _ in range(2):
    loss = model(torch.randn(4, 3, 64, 64)).square().mean()
    optimizer.zero_grad(); loss.backward(); optimizer.step(); average.update(model)
CheckpointSaver(model, optimizer, args, average, checkpoint_dir=args.output).save_checkpoint(0, 1.0)
torch.save([m.eval()(torch.ones(2, 3, 64, 64)) for m in (model, average.module)],
           args.output + "/logits.pt")
"""
VALIDATE = """
import argparse, timm, torch
from timm.models import load_checkpoint, resolve_model_input_args
parser = argparse.ArgumentParser()
for name in ("--model", "--checkpoint", "--logits"):
    parser.add_argument(name)
parser.add_argument("--num-classes", type=int)
args = parser.parse_args()
expected = torch.load(args.logits)
for use_ema in (False, True):
    settings = resolve_model_input_args(args.model, vars(args), num_classes=args.num_classes)
    model = timm.create_model(**settings)
    load_checkpoint(model, args.checkpoint, use_ema)
    torch.testing.assert_close(model.eval()(torch.ones(2, 3, 64, 64)), expected[use_ema])
print("validated")
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cbam_test_resnet", "sk_test_resnet"])
def test_checkpoints_of_a_training_script_are_validated(name: str, tmp_path: Path) -> None:
    backbone = zoo.create_model("test_resnet", num_classes=7)
    file = zoo.save_model(backbone, tmp_path / "backbone.safetensors")
    scripts = {"train.py": TRAIN, "validate.py": VALIDATE}
    for script, text in scripts.items():
        (tmp_path / script).write_text(text)
    calls = (
        ("train.py", "--pretrained-path", file, "--output", tmp_path),
        ("validate.py", "--checkpoint", tmp_path / "last.pth.tar", "--num-classes", 7,
         "--logits", tmp_path / "logits.pt"),
    )  # fmt: skip
    for script, *rest in calls:
        command = ["-m", "zoo.timm_bridge", tmp_path / script, "--model", name]
        done = warm.run([*command, *rest], check=True)
    assert "validated" in done.stdout


def test_a_pretrained_path_is_the_backbone_s_or_the_model_s_own(tmp_path: Path) -> None:
    zoo.timm_bridge.register("cbam_test_resnet")
    x = torch.randn(2, 3, 64, 64)
    plain = zoo.create_model("test_resnet", num_classes=7).eval()
    own = zoo.create_model("cbam_test_resnet", num_classes=7, insertion="exact").eval()
    for number, (model, untrained) in enumerate(((plain, ("attention",)), (own, ()))):
        file = tmp_path / f"{number}.safetensors"
        save_file(model.state_dict(), file)
        overlay = {"file": str(file), "num_classes": -1}
        loaded = timm.create_model(
            "cbam_test_resnet", pretrained=True, pretrained_cfg_overlay=overlay
        ).eval()
        assert loaded.zoo.untrained == untrained and loaded.num_classes == 7
        torch.testing.assert_close(loaded(x), model(x), rtol=1e-4, atol=1e-4)


def test_a_checkpoint_of_the_plain_form_is_loaded_as_ever() -> None:
    zoo.timm_bridge.register("cbam_test_resnet")
    model, other = (timm.create_model("cbam_test_resnet", num_classes=3) for _ in range(2))
    attention = model.layer1[0].se
    twin = copy.deepcopy(model)
    for loaded in (model, twin):
        loaded.load_state_dict(other.state_dict())
    assert model.layer1[0].se is attention  # nothing was exchanged
    with pytest.raises(RuntimeError, match="Missing key"):
        model.load_state_dict({})


def test_an_optimizer_that_is_there_trains_what_a_checkpoint_brought_into_its_form() -> None:
    """A script builds model and optimizer, and then resumes from a warm start's checkpoint."""
    zoo.timm_bridge.register("se_test_resnet")
    state = zoo.create_model("se_test_resnet", insertion="exact", num_classes=3).state_dict()
    assert any("gate_scale" in key for key in state)
    model = timm.create_model("se_test_resnet", num_classes=3)
    model.conv1.requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model.load_state_dict(state)
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert known == {id(p) for p in model.parameters() if p.requires_grad}
    model(torch.rand(2, 3, 64, 64)).square().sum().backward()
    optimizer.step()
    assert not torch.equal(model.fc.weight, state["fc.weight"])
