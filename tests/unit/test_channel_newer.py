"""Younger channel attention where no recorded case reaches: timm's layer, small maps, starts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.layers.eca import EcaModule
from torch import nn

import zoo
from zoo.errors import OptionError


@pytest.mark.parametrize(
    ("channels", "options"),
    [(64, {}), (4, {}), (256, {"rd_ratio": 0.25}), (96, {"rd_channels": 6, "act_layer": nn.SiLU})],
)
def test_ecam_is_timms_layer_and_weights(channels: int, options: dict[str, Any]) -> None:
    theirs: Any = EcaModule(channels, use_mlp=True, **options).eval()
    for name in ("ecam", "eca"):
        more: dict[str, Any] = {"use_mlp": True} if name == "eca" else {}
        ours = zoo.create_attention(name, channels, **options, **more).eval()
        ours.load_state_dict(theirs.state_dict())
        x = torch.randn(2, channels, 5, 4)
        torch.testing.assert_close(ours(x), theirs(x))


def test_eca_without_a_perceptron_is_as_before() -> None:
    module: Any = zoo.create_attention("eca", 64, act_layer=nn.ReLU, bias=False)
    assert [name for name, _ in module.named_parameters()] == ["conv.weight"]
    with pytest.raises(OptionError, match="use_mlp=True"):
        zoo.create_attention("eca", 64, reduced_channels=4)


@pytest.mark.parametrize("name", ["srm", "multidimensional_collaborative"])
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 1)])
def test_a_deviation_of_one_value_is_zero(name: str, size: tuple[int, int]) -> None:
    module: Any = zoo.create_attention(name, 8).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(3, 8, *size, dtype=torch.float64, requires_grad=True)
    y = module.eval()(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_dead_channels_give_finite_gradients() -> None:
    """A ReLU may leave a channel, a row or a column of zeros, whose deviation is zero."""
    module: Any = zoo.create_attention("multidimensional_collaborative", 8)
    x = torch.randn(2, 8, 5, 4)
    x[:, 0] = x[:, :, 1] = x[..., 2] = 0
    module(x.requires_grad_()).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("channels", "kernel"),
    [(1, 1), (2, 1), (3, 1), (4, 1), (26, 1), (27, 3), (215, 3), (216, 5), (1722, 5), (1723, 7)],
)
def test_the_kernel_along_the_channels(channels: int, kernel: int) -> None:
    module: Any = zoo.create_attention("multidimensional_collaborative", channels)
    assert module.channel.conv.weight.shape == (1, 1, 1, kernel)


def test_each_gate_of_three_pools_the_other_two_dimensions() -> None:
    module: Any = zoo.create_attention(
        "multidimensional_collaborative", 6, kernel_sizes=(1, 5, 3), no_spatial=True
    )
    x = torch.randn(2, 6, 7, 4)
    expected = torch.zeros_like(x)
    for gate, view in ((module.height, (0, 2, 1, 3)), (module.width, (0, 3, 2, 1))):
        v = x.permute(view)
        mean, std = v.flatten(2).mean(2), v.flatten(2).std(2)
        s = gate.weight.sigmoid()
        t = (mean + std) / 2 + s[0] * mean + s[1] * std
        a = nn.functional.conv1d(t[:, None], gate.conv.weight[0], padding="same").sigmoid()[:, 0]
        inverse = torch.argsort(torch.tensor(view)).tolist()
        expected += (v * a[..., None, None]).permute(inverse) / 2
    torch.testing.assert_close(module(x), expected)


def test_no_gradient_reaches_the_scales_through_the_weights_of_nam() -> None:
    module: Any = zoo.create_attention("nam", 4).double().eval()
    nn.init.normal_(module.bn.weight)
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    module(x).sum().backward()
    gamma = module.bn.weight.detach().clone().requires_grad_()
    w = gamma.detach().abs() / gamma.detach().abs().sum()
    normed = x / (1 + 1e-5) ** 0.5 * gamma.view(-1, 1, 1)
    (x * (w.view(-1, 1, 1) * normed).sigmoid()).sum().backward()
    torch.testing.assert_close(module.bn.weight.grad, gamma.grad)


def test_nam_with_scales_of_zero_is_half_its_input() -> None:
    module: Any = zoo.create_attention("nam", 4).eval()
    nn.init.zeros_(module.bn.weight)
    x = torch.randn(2, 4, 3, 5)
    torch.testing.assert_close(module(x), 0.5 * x)


@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (2, 1), (8, 4), (12, 4), (24, 8), (7, 1)])
def test_the_default_groups_of_lct_have_something_to_compare(channels: int, groups: int) -> None:
    if channels == 1:
        with pytest.raises(OptionError, match="single channel"):
            zoo.create_attention("lct", channels)
        return
    module: Any = zoo.create_attention("lct", channels)
    assert module.norm.num_groups == groups


@pytest.mark.parametrize("size", [(10, 15), (7, 11), (2, 3)])
def test_mlca_with_one_kernel_weight_is_its_equation(size: tuple[int, int]) -> None:
    """k = 1 reads no neighbour, so that the gates can be written by regions."""
    module: Any = zoo.create_attention("mlca", 6, kernel_size=1, local_size=3, local_weight=0.3)
    x = torch.randn(2, 6, *size)
    pool = nn.functional.adaptive_avg_pool2d
    local = pool(x, 3)
    around = (local * module.conv_local.weight.flatten()).sigmoid()
    whole = (local.mean((2, 3), keepdim=True) * module.conv.weight.flatten()).sigmoid()
    torch.testing.assert_close(module(x), x * pool(0.3 * around + 0.7 * whole, size))


STARTS: list[tuple[str, dict[str, Any], float]] = [
    ("eca", {"use_mlp": True, "reduced_channels": 2}, 0.5),
    ("gct", {"mode": "l1"}, 1.0),
    ("gct", {"mode": "l1", "after_relu": True}, 1.0),
    ("mlca", {"local_size": 3, "local_weight": 1}, 0.5),
    ("multidimensional_collaborative", {"channel_branch": False}, 0.5),
]


@pytest.mark.parametrize(("name", "options", "constant"), STARTS)
def test_starts_of_other_forms(name: str, options: dict[str, Any], constant: float) -> None:
    module: Any = zoo.create_attention(name, 32, **options).eval()
    assert module.init_identity() == constant
    x = torch.randn(2, 32, 6, 5)
    torch.testing.assert_close(module(x), constant * x)
