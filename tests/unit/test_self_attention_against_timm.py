"""Self-attention at settings that no reference case records, against timm's own layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.layers.bottleneck_attn import BottleneckAttn
from timm.layers.halo_attn import HaloAttn
from timm.layers.lambda_layer import LambdaLayer
from timm.layers.non_local_attn import BatNonLocalAttn
from timm.models.swin_transformer import WindowAttention
from timm.models.volo import OutlookAttention
from torch import Tensor, nn

import zoo
from zoo.errors import UsageError


def given_weights(theirs: nn.Module, ours: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Both with the same random weights and statistics, in eval."""
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in theirs.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.1, 0.4)
    state = {k: v.squeeze(4) if v.ndim == 5 else v for k, v in theirs.state_dict().items()}
    ours.load_state_dict(state)
    return theirs.eval(), ours.eval()


def assert_same(theirs: nn.Module, ours: nn.Module, x: Tensor, last: bool = False) -> None:
    """Outputs and gradients of both; `last`: theirs takes (B, H, W, C)."""
    x = x.requires_grad_()
    expected = theirs(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) if last else theirs(x)
    found = ours(x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    slope = torch.linspace(-1, 1, found.numel()).view_as(found)
    (wanted,) = torch.autograd.grad((expected * slope).sum(), x)
    (given,) = torch.autograd.grad((found * slope).sum(), x)
    torch.testing.assert_close(given, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("theirs", "size"),
    [
        ({"num_heads": 2, "block_size": 4, "halo_size": 2}, (8, 12)),
        ({"num_heads": 4, "block_size": 4, "stride": 2, "dim_out": 48}, (8, 8)),
        ({"num_heads": 4, "block_size": 3, "stride": 2}, (9, 6)),
        ({"num_heads": 4, "block_size": 4, "stride": 2, "avg_down": True}, (8, 8)),
        ({"num_heads": 4, "dim_head": 5, "scale_pos_embed": True, "qkv_bias": True}, (8, 16)),
    ],
)
def test_halo(theirs: dict[str, Any], size: tuple[int, int]) -> None:
    names = {"dim_head": "head_dim", "dim_out": "out_channels"}
    ours = {names.get(k, k): v for k, v in theirs.items()}
    pair = given_weights(HaloAttn(32, **theirs), zoo.create_attention("halo", 32, **ours))
    assert_same(*pair, torch.randn(2, 32, *size))


@pytest.mark.parametrize(
    "options",
    [
        {"num_heads": 2, "feat_size": (5, 8)},
        {"num_heads": 4, "feat_size": (7, 7), "stride": 2, "out_channels": 48},
        {"num_heads": 4, "feat_size": (4, 4), "head_dim": 6, "scale_pos_embed": True},
        {"num_heads": 4, "feat_size": (4, 6), "qk_ratio": 0.5, "qkv_bias": True},
    ],
)
def test_bottleneck(options: dict[str, Any]) -> None:
    names = {"head_dim": "dim_head", "out_channels": "dim_out"}
    layer = BottleneckAttn(32, **{names.get(k, k): v for k, v in options.items()})
    pair = given_weights(layer, zoo.create_attention("bottleneck", 32, **options))
    assert_same(*pair, torch.randn(2, 32, *options["feat_size"]))


@pytest.mark.parametrize(
    "options",
    [
        {"num_heads": 2, "head_dim": 5, "receptive_field": 3, "stride": 2},
        {"num_heads": 8, "receptive_field": 7, "qkv_bias": True},
        {"position": "relative", "feat_size": (6, 5), "head_dim": 4},
        {"position": "relative", "feat_size": (6, 5), "stride": 2, "head_dim": None},
    ],
)
def test_lambda_layer(options: dict[str, Any]) -> None:
    names = {"head_dim": "dim_head", "receptive_field": "r"}
    timms = {names.get(k, k): v for k, v in options.items() if k != "position"}
    layer = LambdaLayer(32, **{"r": None, **timms})
    pair = given_weights(layer, zoo.create_attention("lambda_layer", 32, **options))
    assert_same(*pair, torch.randn(2, 32, 6, 5))


@pytest.mark.parametrize(
    "options",
    [
        {"block_size": 2, "groups": 4},
        {"block_size": 3, "groups": 1, "rd_ratio": 0.5},
        {"block_size": 6, "rd_channels": 12},
    ],
)
def test_bat(options: dict[str, Any]) -> None:
    pair = given_weights(BatNonLocalAttn(32, **options), zoo.create_attention("bat", 32, **options))
    assert_same(*pair, torch.randn(2, 32, 6, 12))


@pytest.mark.parametrize(
    "options",
    [
        {"num_heads": 4, "stride": 1, "qkv_bias": True},
        {"num_heads": 2, "kernel_size": 5, "padding": 2, "stride": 3},
        {"num_heads": 1, "kernel_size": 2, "padding": 0, "stride": 2},
    ],
)
def test_outlook(options: dict[str, Any]) -> None:
    pair = given_weights(
        OutlookAttention(16, **options), zoo.create_attention("outlook", 16, **options)
    )
    assert_same(*pair, torch.randn(2, 16, 6, 4), last=True)


def test_outlook_refuses_a_window_that_does_not_fit() -> None:
    layer = zoo.create_attention("outlook", 16, kernel_size=2, padding=0)
    with pytest.raises(UsageError, match="windows along 5 positions"):
        layer(torch.randn(1, 16, 5, 4))


@pytest.mark.parametrize("options", [{"window_size": (2, 3)}, {"num_heads": 2, "head_dim": 4}])
def test_window(options: dict[str, Any]) -> None:
    options = {"num_heads": 4, "window_size": 3, **options}
    layer = WindowAttention(16, **options)
    theirs, ours = given_weights(layer, zoo.create_attention("window", 16, **options))
    rows, columns = layer.window_size
    x = torch.randn(2, 16, 2 * rows, 3 * columns)
    cut = x.unfold(2, rows, rows).unfold(3, columns, columns)  # B, C, 2, 3, rows, columns
    y = theirs(cut.permute(0, 2, 3, 4, 5, 1).flatten(3, 4).flatten(0, 2))
    y = y.view(2, 2, 3, rows, columns, 16).permute(0, 5, 1, 3, 2, 4).reshape(x.shape)
    torch.testing.assert_close(ours(x), y, rtol=1e-5, atol=1e-5)
