"""Mixed attention where no recorded case reaches: masks, strides, dilation, regions, forms."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import zoo
from zoo.errors import OptionError


@pytest.mark.parametrize("kind", ["mixed", "channel", "spatial"])
def test_residual_mask_activations(kind: str) -> None:
    module: Any = zoo.create_attention(f"residual_mask_{kind}", 8)
    m = torch.randn(2, 8, 5, 7)
    if kind == "mixed":
        expected = 1 / (1 + torch.exp(-m))
    elif kind == "channel":
        expected = m / m.square().sum(1, keepdim=True).sqrt()
    else:
        mean, std = m.mean((2, 3), keepdim=True), m.std((2, 3), correction=0, keepdim=True)
        expected = 1 / (1 + torch.exp(-(m - mean) / std))
    torch.testing.assert_close(module.activate(m), expected, atol=1e-4, rtol=1e-4)
    module.eval()
    x = torch.randn(2, 8, 5, 7)
    torch.testing.assert_close(module(x), x * (1 + module.attention(x)))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_residual_mask_sees_beyond_its_kernels(depth: int) -> None:
    torch.manual_seed(depth)
    module: Any = zoo.create_attention("residual_mask_mixed", 32, depth=depth).eval()
    x = torch.randn(1, 32, 11, 13, requires_grad=True)
    module.attention(x)[0, :, 5, 6].sum().backward()
    assert x.grad is not None
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert int(rows.max() - rows.min()) >= min(6 * depth, 10)


def _cot_by_unfolding(module: Any, x: Tensor, kernels: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    size, planes = module.kernel_size, channels // module.share_planes
    windows = F.unfold(x, size, dilation=module.dilation, padding=module.reach)
    windows = windows.view(batch, -1, planes, size**2, height, width)
    return (windows * kernels.view(batch, 1, planes, size**2, height, width)).sum(3).flatten(1, 2)


@pytest.mark.parametrize(("kernel_size", "dilation"), [(3, 1), (3, 2), (5, 1)])
def test_cot_convolves_each_position_with_its_kernel(kernel_size: int, dilation: int) -> None:
    module: Any = zoo.create_attention("cot", 16, kernel_size=kernel_size, dilation=dilation)
    x, kernels = torch.randn(2, 16, 7, 6), torch.randn(2, 2 * kernel_size**2, 7, 6)
    expected = _cot_by_unfolding(module, x, kernels)
    torch.testing.assert_close(module._convolve(x, kernels), expected, atol=1e-5, rtol=1e-5)


def test_cot_takes_the_stride_and_channels_of_the_convolution_it_replaces() -> None:
    module = zoo.create_attention("cot", 16, in_channels=12, stride=2, groups=4).eval()
    x = torch.randn(1, 12, 9, 6)
    assert module(x).shape == torch.nn.Conv2d(12, 16, 3, 2, 1)(x).shape


def test_harmonious_regions_start_as_strips_from_top_to_bottom() -> None:
    module: Any = zoo.create_attention("harmonious", 16, region_size=(2, 8)).eval()
    rows = torch.arange(8.0).view(8, 1).expand(1, 16, 8, 8)
    regions = module.regions(rows, module.theta(rows))
    assert regions.shape == (1, 4, 16, 2, 8)
    middle = regions[0, :, 0, :, 4].mean(1)
    centres = torch.tanh(torch.tensor([-0.75, -0.25, 0.25, 0.75]))  # of the height, in [-1, 1]
    torch.testing.assert_close(middle, (centres + 1) * 4 - 0.5, atol=1e-5, rtol=1e-5)


def test_dual_attention_has_a_form_on_the_map_and_a_head() -> None:
    x = torch.randn(2, 32, 6, 6)
    same: Any = zoo.create_attention("dual_attention", 32, gamma_position=0.3, gamma_channel=0.2)
    assert torch.equal(same(x), same.sa(x) + same.sc(x))
    head: Any = zoo.create_attention("dual_attention", 32, num_classes=3).eval()
    outputs = head.outputs(x)
    assert outputs["fused"].shape == (2, 8, 6, 6)
    assert torch.equal(head(x), outputs["sum"]) and outputs["sum"].shape == (2, 3, 6, 6)


def test_attention_branch_classifies_too() -> None:
    module: Any = zoo.create_attention("attention_branch", 16, num_classes=5).eval()
    x = torch.randn(2, 16, 6, 6)
    y, attention, logits = module.attend(x)
    assert torch.equal(module(x), y) and logits.shape == (2, 5)
    torch.testing.assert_close(y, x + x * attention)


def test_coordinate_variants_are_the_authors_and_timms_widths() -> None:
    from timm.layers.coord_attn import CoordAttn

    official: Any = zoo.create_attention("coordinate", 512)
    assert official.conv1.out_channels == 16 and official.conv1.bias is not None
    for channels in (64, 320, 512):
        timm: Any = zoo.create_attention("coordinate", channels, variant="timm")
        assert timm.state_dict().keys() == CoordAttn(channels).state_dict().keys()
        assert timm.conv1.out_channels == CoordAttn(channels).conv1.out_channels


def test_shuffle_attention_moves_channels_and_says_what_it_needs() -> None:
    module: Any = zoo.create_attention("shuffle_attention", 8, groups=2).eval()
    x = torch.randn(1, 8, 3, 3)
    order = (module(x) / x[:, [0, 4, 1, 5, 2, 6, 3, 7]]).flatten()
    gate = torch.sigmoid(torch.ones(()))  # as initialised: weights 0, biases 1
    torch.testing.assert_close(order, gate.expand_as(order))
    with pytest.raises(OptionError, match="odd"):
        zoo.create_attention("shuffle_attention", 7)


@pytest.mark.parametrize("layout", ["parallel", "sequential"])
def test_polarized_of_the_paper_is_its_equations(layout: str) -> None:
    module: Any = zoo.create_attention(f"polarized_{layout}", 12, variant="paper")
    x = torch.randn(2, 12, 5, 3)

    def channel(x: Tensor) -> Tensor:
        weights = module.conv_q_right(x).flatten(2).softmax(2)
        context = torch.einsum("bcn,bon->bc", module.conv_v_right(x).flatten(2), weights)
        mixed = context @ module.conv_up[0].weight.flatten(1).t()
        return x * F.layer_norm(mixed, (12,)).sigmoid()[..., None, None]

    def spatial(x: Tensor) -> Tensor:
        query = module.conv_q_left(x).mean((2, 3)).softmax(1)
        gate = torch.einsum("bc,bchw->bhw", query, module.conv_v_left(x)).sigmoid()
        return x * gate.unsqueeze(1)

    expected = channel(x) + spatial(x) if layout == "parallel" else spatial(channel(x))
    torch.testing.assert_close(module(x), expected)
    if layout == "sequential":
        assert module.init_identity() == 0.25
        torch.testing.assert_close(module(x), 0.25 * x)
    for wrong in ({"layer_norm": False}, {"ln_ratio": 4}):
        with pytest.raises(OptionError, match="variant='paper'"):
            zoo.create_attention(f"polarized_{layout}", 12, variant="paper", **wrong)
