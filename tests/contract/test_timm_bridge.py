"""The zoo's named models under timm's own names and rules (after timm's `tests/test_models.py`)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import timm
import torch
from _pytest.mark import ParameterSet
from timm.models import get_pretrained_cfg_value
from torchvision.models.feature_extraction import create_feature_extractor

import zoo
import zoo.timm_bridge
from zoo.errors import UsageError
from zoo.registry import default_registry
from zoo.registry.targets import resolve

ELSEWHERE = (  # heat maps; the code of axial_resnet26_s; the code of residual_attention_56
    "stacked_hourglass", "axial_resnet50", "residual_attention_1", "residual_attention_2",
    "residual_attention_4", "residual_attention_9", "residual_attention_next_9",
)  # fmt: skip
NAMED = [
    n for n in zoo.list_models()
    if zoo.model_info(n)["kind"] == "soft" and not n.startswith(ELSEWHERE)
]  # fmt: skip


def once_each(names: Iterable[str]) -> list[ParameterSet]:
    """The first of those that one class and one attention make; the rest are slow tests."""
    made: set[tuple[str, str]] = set()
    rows: list[ParameterSet] = []
    for name in names:
        spec = default_registry().models[name]
        kind = (spec.target or spec.backbone.partition("net")[0], spec.attention)
        rows.append(pytest.param(name, marks=[pytest.mark.slow] if kind in made else []))
        made.add(kind)
    return rows


named = pytest.mark.parametrize("name", once_each(NAMED))
with_maps = pytest.mark.parametrize(
    "name", once_each(n for n in NAMED if get_pretrained_cfg_value(n, "first_conv"))
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
    model.reset_classifier(0)
    assert model(torch.randn(1, *small(name))).shape == (1, model.num_features)


@with_maps
def test_gives_its_last_map_unpooled(name: str) -> None:
    model = timm.create_model(name).eval()
    x = torch.randn(1, *small(name))
    maps = model.forward_features(x)
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


def test_a_script_of_timm_runs_with_the_zoo_s_models(tmp_path: Path) -> None:
    script = tmp_path / "count.py"
    script.write_text(
        "import argparse, timm\n"
        "parser = argparse.ArgumentParser(); parser.add_argument('--model')\n"
        "model = timm.create_model(parser.parse_args().model)\n"
        "print(sum(p.numel() for p in model.parameters()))\n"
    )
    command = [sys.executable, "-m", "zoo.timm_bridge", str(script), "--model", "eca_resnet14t"]
    done = subprocess.run(command, text=True, capture_output=True, timeout=120, check=True)
    assert int(done.stdout) == sum(
        p.numel() for p in zoo.create_model("eca_resnet14t").parameters()
    )


def test_the_bridge_refuses_what_is_not_a_script() -> None:
    with pytest.raises(UsageError, match="no script"):
        zoo.timm_bridge.main(["absent.py"])
