"""Networks of the authors at settings that are not recorded: what can be built, what cannot."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.models.resnet import ResNet
from timm.models.senet import SEBottleneck, SENet

import zoo
from zoo.errors import OptionError, UsageError
from zoo.registry import default_registry
from zoo.weights.keymaps import carry_over, map_keys

pytestmark = pytest.mark.long

SETTINGS: tuple[tuple[str, dict[str, Any], tuple[int, ...], tuple[int, ...]], ...] = (
    ("fca_resnet50", {"depth": 18, "frequencies": "low8"}, (3, 50, 70), (1000,)),
    ("axial_resnet26_s", {"img_size": 64, "groups": 4, "num_classes": 5}, (3, 64, 64), (5,)),
    ("axial_resnet50_s", {"layers": [1, 1, 1, 1], "img_size": (32, 32)}, (3, 32, 32), (1000,)),
    ("sasa_resnet26", {"stem": "attention", "num_classes": 7}, (3, 17, 24), (7,)),
    ("sasa_resnet26", {"variant": "paper", "kernel_size": 3, "in_chans": 1}, (1, 32, 32), (1000,)),
    ("lambda_resnet26_timm", {"num_classes": 3}, (3, 64, 64), (3,)),
    ("stacked_hourglass_2", {"nstack": 3, "inp_dim": 32, "oup_dim": 5}, (3, 64, 64),
     (3, 5, 16, 16)),
    ("stacked_hourglass_1", {"inp_dim": 32, "increase": 8, "order": 2}, (3, 50, 70),
     (1, 16, 12, 17)),
)  # fmt: skip


@pytest.mark.parametrize(("name", "options", "size", "shape"), SETTINGS)
def test_a_network_can_be_built_run_and_built_again(
    name: str, options: dict[str, Any], size: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    model = zoo.create_model(name, **options)
    out = model(torch.randn(2, *size))
    assert out.shape == (2, *shape)
    out.mean().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    stated: Any = model.zoo
    again = zoo.create_model(name, **options)
    if not stated.attention:
        again = zoo.create_model(stated.name, **stated.options)
    again.load_state_dict(model.state_dict())
    x = torch.randn(1, *size)
    with torch.no_grad():
        assert torch.equal(model.eval()(x), again.eval()(x))


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("axial_resnet26_s", {"img_size": 100}, "stride=32"),
        ("axial_resnet26_s", {"img_size": (64, 96)}, "img_size"),
        ("axial_resnet26_s", {"s": 0.3}, "groups"),
        ("axial_resnet26_s", {"s": float("nan")}, "s=nan"),
        ("axial_resnet26_s", {"layers": [1, 2]}, "sequence of 4"),
        ("axial_resnet26_s", {"no_such_option": 1}, "no_such_option"),
        ("fca_resnet50", {"depth": 17}, "resnet17"),
        ("fca_resnet50", {"dct_size": {"64": 56}}, "widths"),
        ("fca_resnet50", {"frequencies": "top3"}, "top3"),
        ("sasa_resnet26", {"stem": "maxout"}, "stem"),
        ("sasa_resnet26", {"groups": 7}, "num_heads=7"),
        ("sasa_resnet26", {"kernel_size": 4}, "kernel_size=4"),
        ("stacked_hourglass_2", {"nstack": 0}, "num_stacks=0"),
        ("stacked_hourglass_2", {"num_classes": 0}, "num_classes=0"),
        ("stacked_hourglass_2", {"inp_dim": 63}, "63"),
        ("lambda_resnet26_timm", {"timm_model": "no_such_model"}, "no_such_model"),
    ],
)
def test_what_cannot_be_is_refused(name: str, options: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        zoo.create_model(name, **options)


def test_an_axial_network_names_the_size_it_is_for() -> None:
    model = zoo.create_model("axial_resnet26_s", image_size=64)  # as version 0.1 states it
    with pytest.raises(UsageError, match="16"):
        model(torch.randn(1, 3, 96, 96))


def test_heat_maps_can_be_of_other_joints() -> None:
    model: Any = zoo.create_model("stacked_hourglass_2", inp_dim=32).eval()
    model.reset_classifier(3)
    assert model(torch.randn(1, 3, 64, 64)).shape == (1, 2, 3, 16, 16)
    assert model.forward_features(torch.randn(1, 3, 64, 64)).shape == (1, 32, 16, 16)
    with pytest.raises(OptionError, match="not pooled"):
        model.reset_classifier(3, "avg")


def test_the_resnets_are_timm_s() -> None:
    for name in ("axial_resnet26_s", "sasa_resnet26", "fca_resnet18"):
        assert isinstance(zoo.create_model(name), ResNet)


@torch.no_grad()
def test_senet_154_is_the_port_of_the_authors_network() -> None:
    """timm's copy of a port that published the authors' weights; one block a stage."""
    theirs = SENet(
        SEBottleneck, (1, 1, 1, 1), groups=64, reduction=16, downsample_kernel_size=3,
        downsample_padding=1, inplanes=128, input_3x3=True, num_classes=7,
    ).eval()  # fmt: skip
    for tensor in theirs.state_dict().values():
        if tensor.ndim == 1:
            torch.nn.init.uniform_(tensor, 0.5, 1.5)
    options: dict[str, Any] = {"layers": (1, 1, 1, 1), "num_classes": 7}
    ours = zoo.create_model("SENet-154", **options).eval()
    spec = default_registry().models["senet_154"]
    carry_over(map_keys(spec.provenance.key_map, theirs.state_dict(), ours, "tests"), ours)
    x = torch.randn(2, 3, 75, 98)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)
    whole = zoo.create_model("senet_154", device="meta")
    assert sum(p.numel() for p in whole.parameters()) == 115_088_984
