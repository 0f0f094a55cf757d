"""Residual attention networks: sizes stated elsewhere, parts against the paper's formulas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from zoo_plugins.networks.residual_attention.authors import from_authors
from zoo_plugins.networks.residual_attention.mask import AttentionModule
from zoo_plugins.networks.residual_attention.network import ResidualAttentionNetwork
from zoo_plugins.networks.residual_attention.options import ModuleSettings
from zoo_plugins.networks.residual_attention.units import Units
from zoo_plugins.residual_attention import MODELS

import zoo
from zoo.errors import OptionError, UsageError, WeightsMismatchError
from zoo.reference.convert import convert
from zoo.reference.models import draw

pytestmark = pytest.mark.long

CASES = Path(__file__).parents[1] / "reference" / "cases" / "models.json"
ENTRIES = {e["name"]: e for e in json.loads(CASES.read_text())["models"]}
DEFAULTS = {spec.name: spec.defaults for spec in MODELS}
# A small network with all parts: three stages of modules, masks that pool twice.
SMALL: dict[str, Any] = {
    "widths": (32, 64, 64, 128), "stem_width": 16, "num_classes": 5, "depth_hourglass": (3, 2, 1),
}  # fmt: skip
# (parameters, multiply-adds at 224) of the authors' prototxts.
CODED = {
    "residual_attention_56": (31_810_728, 6_270_836_736),
    "residual_attention_92": (52_466_344, 10_533_789_696),
    "residual_attention_next_56": (31_318_824, 6_419_106_816),
    "residual_attention_56_tengshaofeng": (29_782_218 + 990 * 2049, 6_268_809_216 + 990 * 2048),
}
# Millions of parameters that the paper states, and its depths.
STATED = {92: 1.9, 236: 5.1, 452: 8.6}


def network(**options: Any) -> ResidualAttentionNetwork:
    torch.manual_seed(0)
    return ResidualAttentionNetwork(**{**SMALL, **options})


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", CODED)
def test_parameters_and_multiply_adds_are_the_authors(name: str) -> None:
    model = ResidualAttentionNetwork(device="meta", **DEFAULTS[name]).eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, 224, 224, device="meta"))
    assert (parameters(model), counter.get_total_flops() // 2) == CODED[name]


@pytest.mark.parametrize("depth", STATED)
def test_cifar_networks_have_the_paper_s_size(depth: int) -> None:
    model = ResidualAttentionNetwork(device="meta", **DEFAULTS[f"residual_attention_{depth}_cifar"])
    assert round(parameters(model) / 1e6, 1) == STATED[depth]


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_trunk_is_as_deep_as_the_name_says(name: str) -> None:
    model = ResidualAttentionNetwork(device="meta", **DEFAULTS[name])
    units = [m for path, m in model.named_modules() if hasattr(m, "conv3") and ".mask." not in path]
    assert f"_{3 * len(units) + 2}" in name
    assert model.trunk_depth == 3 * len(units) + 2


@pytest.mark.parametrize("unit", ["preact_bottleneck", "resnext", "inception"])
@pytest.mark.parametrize("form", ["paper", "tengshaofeng"])
@pytest.mark.parametrize("size", [(64, 64), (61, 95), (32, 32), (7, 40)])
def test_any_size_will_do(unit: str, form: str, size: tuple[int, int]) -> None:
    model = network(unit=unit, form=form, groups=16 if unit == "resnext" else 1)
    out = model(torch.randn(2, 3, *size))
    assert out.shape == (2, 5) and torch.isfinite(out).all()
    out.sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def module(**options: Any) -> AttentionModule:
    torch.manual_seed(0)
    paper = {"p": 0, "t": 2, "r": 1, "mask": "mixed", "learning": "arl", "form": "paper"}
    settings = ModuleSettings(**{**paper, **options})
    return AttentionModule(Units(kind="preact_bottleneck"), 16, 2, settings).eval()


def test_both_ways_of_learning_are_the_paper_s() -> None:
    x = torch.randn(2, 16, 13, 10)
    trunk = module(mask="none")(x)
    naive, mask = module(learning="nal"), module()
    assert mask.mask is not None
    m = mask.mask(x, trunk)
    torch.testing.assert_close(naive(x), m * trunk)
    torch.testing.assert_close(mask(x), (1 + m) * trunk)


def test_a_mask_of_zero_leaves_the_trunk() -> None:
    masked, plain = network(mask="channel").eval(), network(mask="none").eval()
    plain.load_state_dict({k: v for k, v in masked.state_dict().items() if ".mask." not in k})
    for name, parameter in masked.named_parameters():
        if name.endswith(".mask.conv2.weight"):
            torch.nn.init.zeros_(parameter)
    x = torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        torch.testing.assert_close(masked(x), plain(x))
    assert not plain.attention_maps(x)


def test_masks_have_the_ranges_of_their_functions() -> None:
    x = torch.randn(2, 3, 64, 64)
    mixed, channel, spatial = (
        network(mask=kind).eval().attention_maps(x) for kind in ("mixed", "channel", "spatial")
    )
    assert [tuple(m.shape[1:]) for m in mixed.values()] == [(32, 16, 16), (64, 8, 8), (64, 4, 4)]
    for name in mixed:
        assert ((mixed[name] >= 0) & (mixed[name] <= 1)).all()
        norms = channel[name].norm(dim=1)
        torch.testing.assert_close(norms, torch.ones_like(norms))
        logits = torch.logit(spatial[name].double())
        torch.testing.assert_close(logits.mean((2, 3)), torch.zeros_like(logits[..., 0, 0]),
                                   atol=1e-4, rtol=0)  # fmt: skip


def test_attention_maps_leave_no_hooks() -> None:
    model = network().eval()
    model.attention_maps(torch.randn(1, 3, 32, 32))
    with pytest.raises(UsageError, match="shape"):
        model.attention_maps(torch.randn(1, 4, 32, 32))
    assert not any(m._forward_hooks for m in model.modules())


def test_checkpointing_changes_no_gradient() -> None:
    x = torch.randn(4, 3, 32, 32)
    plain, saving = network(), network()
    saving.set_grad_checkpointing()
    plain(x).square().sum().backward()
    saving(x).square().sum().backward()
    for (name, one), other in zip(plain.named_parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, msg=name)


def test_features_come_by_stage() -> None:
    name = "residual_attention_56_cifar"
    features: Any = zoo.create_model(name, features_only=True, out_indices=(1, 3))
    maps = features(torch.randn(1, 3, 40, 36))
    assert [tuple(m.shape[1:]) for m in maps] == [(64, 40, 36), (256, 10, 9)]
    assert features.feature_info.reduction() == [1, 4]


def test_intermediates_are_those_of_the_forward() -> None:
    model, x = network().eval(), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        last, found = model.forward_intermediates(x, norm=True)
        torch.testing.assert_close(last, model.forward_features(x))
        torch.testing.assert_close(found[-1], last)
        early = model.forward_intermediates(
            x, indices=[0, 2], stop_early=True, intermediates_only=True
        )
        torch.testing.assert_close(early, [found[0], found[2]])
        assert model.prune_intermediate_layers([0, 2]) == [0, 2]
        torch.testing.assert_close(model(x), found[2])


def test_a_new_head() -> None:
    model, x = network(num_classes=0).eval(), torch.randn(2, 3, 32, 32)
    assert model(x).shape == (2, 128)
    model.reset_classifier(7)
    assert model(x).shape == (2, 7)
    model.reset_classifier(0, "")
    assert model(x).shape == (2, 128, 1, 1)
    model.to(torch.bfloat16).reset_classifier(3, "avg")
    assert model(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"modules": (1, 1)}, "modules"),
        ({"widths": "wide"}, "sequence"),
        ({"widths": (32, 64, 128, 250)}, "four"),
        ({"strides": (1, 2)}, "strides"),
        ({"unit": "dense"}, "preact_bottleneck"),
        ({"mask": "f4"}, "mixed"),
        ({"learning": "arl2"}, "arl"),
        ({"variant": "port"}, "tengshaofeng"),
        ({"r": 0}, "r=0"),
        ({"depth_hourglas": (1, 1, 1)}, "depth_hourglass"),
        ({"unit": "resnext_32x8d"}, "resnext_32x4d"),
        ({"unit": "resnext_32x4d", "groups": 16}, "contradict"),
        ({"stem": "three by three"}, "no pool"),
        ({"stem": "3x3 32ch no pool", "stem_width": 16}, "contradict"),
        ({"sizes": (32, 16, 8, 8), "strides": (1, 2, 2, 2)}, "contradict"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], word: str) -> None:
    with pytest.raises(OptionError, match=word):
        zoo.create_model("residual_attention_56_cifar", **options)


def released(name: str) -> dict[str, Tensor]:
    entry = ENTRIES[name]
    return {k: draw(k, s, entry["seed"], entry["gain"]) for k, s in entry["keys"].items()}


def test_a_checkpoint_of_the_port_is_converted(tmp_path: Path) -> None:
    state = {f"module.{k}": v for k, v in released("residual_attention_92_cifar").items()}
    torch.save(state, tmp_path / "model.pkl")
    done = convert(
        "residual_attention_92_cifar", tmp_path / "model.pkl", tmp_path / "out.safetensors",
        {"variant": "tengshaofeng"},
    )  # fmt: skip
    assert done.parameters == ENTRIES["residual_attention_92_cifar"]["num_params_live"]
    assert len(done.dropped) == 41 and all("conv4" in key for key in done.dropped)
    model = zoo.create_model(
        "residual_attention_92_cifar", variant="tengshaofeng", weights=tmp_path / "out.safetensors"
    )
    theirs = state["module.attention_module2_2.conv1_1_blocks.5.weight"]
    assert torch.equal(model.get_parameter("stages.1.2.mask.conv2.weight"), theirs)


def test_names_of_pytorchcv() -> None:
    """Each has one of ours, of the same shape."""
    with torch.device("meta"):
        model = zoo.create_model("resattnet56", num_classes=10)
        state = {k: torch.empty(shape) for k, shape in ENTRIES["resattnet56"]["keys"].items()}
    mapped = from_authors(state, model)
    own = model.state_dict()
    assert mapped.keys() == own.keys() and len(mapped) == len(state)
    assert all(mapped[key].shape == own[key].shape for key in own)


@pytest.mark.slow
def test_a_checkpoint_under_the_names_of_pytorchcv_is_converted(tmp_path: Path) -> None:
    """As the published weights of Attention-56 have them: in a wrapper, of several processes."""
    state = {f"module.{k}": v for k, v in released("resattnet56").items()}
    torch.save({"epoch": 1, "arch": "resattnet56", "state_dict": state}, tmp_path / "model.pth")
    done = convert("resattnet56", tmp_path / "model.pth", tmp_path / "out.safetensors")
    assert (done.name, done.dropped) == ("residual_attention_56_tengshaofeng", ())
    assert done.parameters == ENTRIES["resattnet56"]["num_params"]
    tensors = load_file(tmp_path / "out.safetensors")
    unit = "module.features.stage1.unit2.hg.{}_seq.{}3.res_blocks.blocks.block1.body.conv2.conv"
    for i, way in enumerate(("down", "up")):  # the units at the bottom of the mask
        theirs = state[f"{unit.format(way, way)}.weight"]
        assert torch.equal(tensors[f"stages.0.1.mask.bottom.{i}.conv2.weight"], theirs)


def test_a_checkpoint_of_the_port_is_not_the_paper_s(tmp_path: Path) -> None:
    torch.save(released("residual_attention_92_cifar"), tmp_path / "model.pkl")
    with pytest.raises(WeightsMismatchError):
        convert("residual_attention_92_cifar", tmp_path / "model.pkl", tmp_path / "o.safetensors")
    assert not (tmp_path / "o.safetensors").exists()
