"""Younger mixed attention where no recorded case reaches: timm's own layers, small maps, starts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from timm.layers.cbam import LightCbamModule
from timm.layers.coord_attn import EfficientLocalAttn, SimpleCoordAttn
from torch import Tensor

import zoo
from zoo.errors import OptionError, UsageError

TIMM: list[tuple[str, Any, dict[str, Any], dict[str, Any]]] = [
    ("ela", EfficientLocalAttn, {"kernel_size": 5},
     {"shared": False, "norm_groups": 1, "activation": "silu"}),
    ("scoord", SimpleCoordAttn, {}, {}),
    ("scoord", SimpleCoordAttn, {"rd_ratio": 0.5, "act_layer": torch.nn.ReLU}, {}),
    ("lcbam", LightCbamModule, {"mlp_bias": True}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "layer", "options", "more"), TIMM)
def test_timms_layer_and_weights(
    name: str, layer: Any, options: dict[str, Any], more: dict[str, Any]
) -> None:
    theirs = layer(64, **options).eval()
    ours = zoo.create_attention(name, 64, **options, **more).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 64, 9, 6)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("groups", [4, 16])
def test_efficient_multi_scale_is_its_equations(groups: int) -> None:
    """With the pooled mean of the normed branch, which the module knows to be the norm's bias."""
    module: Any = zoo.create_attention("efficient_multi_scale", 16, groups=groups).double()
    torch.nn.init.normal_(module.gn.bias)
    x = torch.randn(2, 16, 5, 7, dtype=torch.float64)
    expected = []
    for g in x.chunk(groups, 1):
        strips = torch.cat([g.mean(3, keepdim=True), g.mean(2, keepdim=True).mT], 2)
        rows, columns = module.conv1x1(strips).sigmoid().split([5, 7], 2)
        x1, x2 = module.gn(g * rows * columns.mT), module.conv3x3(g)
        a1, a2 = (m.mean((2, 3), keepdim=True).softmax(1) for m in (x1, x2))
        expected.append(g * (a1 * x2 + a2 * x1).sum(1, keepdim=True).sigmoid())
    torch.testing.assert_close(module(x), torch.cat(expected, 1))


def test_s2_attention_shifts_by_one_and_keeps_the_border() -> None:
    module: Any = zoo.create_attention("s2_attention", 8).eval()
    with torch.no_grad():  # the first path alone, and nothing before or after it
        for parameter in module.parameters():
            parameter.zero_()
        module.mlp1.weight[:8, :, 0, 0] = torch.eye(8)
        module.mlp2.weight[:, :, 0, 0] = 3 * torch.eye(8)
    x = torch.randn(1, 8, 4, 5)
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    down, up = padded[:, :2, :-2, 1:-1], padded[:, 2:4, 2:, 1:-1]
    right, left = padded[:, 4:6, 1:-1, :-2], padded[:, 6:, 1:-1, 2:]
    torch.testing.assert_close(module(x), torch.cat([down, up, right, left], 1))


@pytest.mark.parametrize("pool_type", ["avg", "max"])
def test_a_window_larger_than_the_map_is_the_map(pool_type: Any) -> None:
    options: dict[str, Any] = {"pool_type": pool_type, "num_heads": 2}
    whole, large = (
        zoo.create_attention("scsa", 16, window_size=w, **options).eval() for w in (-1, 7)
    )
    large.load_state_dict(whole.state_dict())
    x = torch.randn(2, 16, 3, 6)
    torch.testing.assert_close(large(x), whole(x))
    wide = torch.randn(1, 16, 3, 21)  # three windows of seven columns
    assert not torch.allclose(large(wide), whole(wide))


def test_attention_gate_of_the_papers_figure() -> None:
    module: Any = zoo.create_attention(
        "attention_gate", 6, gating_channels=5, inter_channels=4, projection=False,
        align_corners=True,
    )  # fmt: skip
    x, gating = torch.randn(2, 6, 8, 6), torch.randn(2, 5, 2, 3)
    theta = F.conv2d(x, module.theta.weight, stride=2)
    phi = torch.einsum("oc,bchw->bohw", module.phi.weight[:, :, 0, 0], gating)
    phi = phi + module.phi.bias.view(-1, 1, 1)
    up: Any = {"mode": "bilinear", "align_corners": True}
    hidden = (theta + F.interpolate(phi, (4, 3), **up)).clamp(min=0)
    logits = (module.psi.weight * hidden).sum(1, keepdim=True) + module.psi.bias
    expected = x * F.interpolate(logits.sigmoid(), (8, 6), **up)
    torch.testing.assert_close(module(x, gating), expected)
    with pytest.raises(UsageError, match="gating"):
        module(x, x)


STARTS: list[tuple[str, dict[str, Any], float]] = [
    ("ela", {"has_skip": True}, 1.25),
    ("ela", {"shared": False, "norm_groups": 1, "activation": "silu", "bias": True}, 0.25),
    ("scoord", {"has_skip": True, "bias": False}, 1.5),
    ("scse", {"fusion": "sum"}, 1.0),
    ("scse", {"channel": False}, 0.5),
    ("scse", {"spatial": False, "reduced_channels": 2}, 0.5),
    ("gam", {"channel_gate": None, "groups": 4, "shuffle_groups": 4}, 0.5),
    ("scsa", {"window_size": -1, "qkv_bias": True}, 0.125),
]


@pytest.mark.parametrize(("name", "options", "constant"), STARTS)
def test_starts_of_other_forms(name: str, options: dict[str, Any], constant: float) -> None:
    module: Any = zoo.create_attention(name, 32, **options).eval()
    assert module.init_identity() == constant
    x = torch.randn(2, 32, 6, 5)
    torch.testing.assert_close(module(x), constant * x)


def test_a_softmax_gate_has_no_constant_to_start_from() -> None:
    module: Any = zoo.create_attention("scsa", 16, gate="softmax", num_heads=4)
    with pytest.raises(OptionError, match="insertion="):
        module.init_identity()


@pytest.mark.parametrize("fusion", ["max", "sum"])
def test_scse_fuses_what_each_gate_makes(fusion: Any) -> None:
    module: Any = zoo.create_attention("scse", 8, fusion=fusion)
    x = torch.randn(2, 8, 4, 3)
    hidden = (module.fc1(x.mean((2, 3)))).clamp(min=0)
    parts: list[Tensor] = [
        x * module.fc2(hidden).sigmoid()[..., None, None],
        x * module.conv(x).sigmoid(),
    ]
    stacked = torch.stack(parts)
    expected = stacked.amax(0) if fusion == "max" else stacked.sum(0)
    torch.testing.assert_close(module(x), expected)
