"""Large kernels against other ways to compute the same, and their variants in the kit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from timm.layers import create_attn
from torch import Tensor, nn

import zoo
from zoo import testing
from zoo.errors import OptionError
from zoo.registry import default_registry
from zoo.registry.specs import Trial

TABLE = [(7, 3, 3, 2), (11, 3, 5, 2), (23, 5, 7, 3), (35, 5, 11, 3), (41, 5, 13, 3), (53, 5, 17, 3)]
VARIANTS: list[tuple[str, dict[str, Any], str]] = [  # and the biases in front of a batch norm
    ("large_kernel", {"projections": False}, ""),
    ("large_selective_kernel", {"projections": False}, ""),
    ("context_anchor", {"norm": "batch", "activation": "silu"}, "v_conv.conv.bias"),
    ("context_anchor", {"variant": "bottleneck"}, r"dw_convs.\d.conv.bias"),
    ("receptive_field", {"variant": "rfa_unfold"}, "(get_weights|conv).0.bias"),
    ("receptive_field", {"variant": "rfca"}, "conv1.bias"),
    ("receptive_field", {"variant": "rfcbam", "final_norm_act": True}, "conv.0.bias"),
    ("strip_pooling", {"variant": "mpm"}, ""),
    ("strip_pooling", {"variant": "timm", "has_skip": True}, ""),
]
CHECKS = (
    testing.check_sizes,
    testing.check_factory_arguments,
    testing.check_gradients,
    testing.check_identity_start,
)
NO_START = ("bottleneck", "mpm")


def made(name: str, channels: int = 8, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return zoo.create_attention(name, channels, **options).eval()


def image(channels: int = 8, height: int = 9, width: int = 12) -> Tensor:
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(("name", "options", "dead"), VARIANTS)
def test_variants_pass_the_kit(
    name: str, options: dict[str, Any], dead: str, check: testing.Check
) -> None:
    spec = default_registry().attentions[name]
    starts = spec.insertion.identity == "exact" and options.get("variant") not in NO_START
    if check is testing.check_identity_start and not starts:
        return
    trial = Trial(dead_parameters=(f"^{dead}$",) if dead else ())
    check(replace(spec, options=replace(spec.options, defaults=options), trial=trial))


@pytest.mark.parametrize(("kernel_size", "local", "dilated", "dilation"), TABLE)
def test_the_sizes_of_the_authors_table(
    kernel_size: int, local: int, dilated: int, dilation: int
) -> None:
    found: Any = made("lska", k_size=kernel_size)
    assert found.conv0h.kernel_size == (1, local) and found.conv0v.kernel_size == (local, 1)
    for conv, sides in ((found.conv_spatial_h, (1, dilated)), (found.conv_spatial_v, (dilated, 1))):
        assert (conv.kernel_size, conv.dilation) == (sides, (dilation, dilation))


@pytest.mark.parametrize("name", ["large_kernel", "large_separable_kernel"])
def test_a_gradient_reaches_the_whole_kernel(name: str) -> None:
    """The paper's K counts d taps for each of the dilated kernel; in fact they span 23 for 21."""
    module: Any = made(name, 1, kernel_size=21, projections=False).double()
    for parameter in module.parameters():
        nn.init.ones_(parameter)
    x = torch.zeros(1, 1, 31, 31, dtype=torch.float64, requires_grad=True)
    module.attention(x)[0, 0, 15, 15].backward()
    assert x.grad is not None
    rows, columns = x.grad[0, 0].nonzero(as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 26, 4, 26)


def test_separable_kernels_are_products() -> None:
    """LSKA with some kernels is LKA with their outer products."""
    separable: Any = made("large_separable_kernel", kernel_size=21, projections=False)
    whole: Any = made("large_kernel", projections=False)
    with torch.no_grad():
        for mine, row, column in (
            (whole.conv0, separable.conv0h, separable.conv0v),
            (whole.conv_spatial, separable.conv_spatial_h, separable.conv_spatial_v),
        ):
            mine.weight.copy_(column.weight * row.weight)
            mine.bias.copy_(column.bias)
            row.bias.zero_()
        whole.conv1.load_state_dict(separable.conv1.state_dict())
        torch.testing.assert_close(separable(image()), whole(image()))


def test_without_offsets_the_deformable_kernel_is_the_plain_one() -> None:
    deformable: Any = made("deformable_large_kernel")
    plain: Any = made("large_kernel")
    with torch.no_grad():
        for name in ("conv0", "conv_spatial"):
            moved, conv = getattr(deformable, name), getattr(plain, name)
            conv.weight.copy_(moved.deform_conv.weight)
            conv.bias.zero_()
            nn.init.zeros_(moved.offset_net.weight)
            nn.init.zeros_(moved.offset_net.bias)
        for name in ("conv1", "proj_1", "proj_2"):
            getattr(plain, name).load_state_dict(getattr(deformable, name).state_dict())
        torch.testing.assert_close(deformable(image()), plain(image()), rtol=1e-4, atol=1e-5)


def test_an_offset_of_one_row_shifts_the_map() -> None:
    deformable: Any = made("deformable_large_kernel", 4).conv0
    with torch.no_grad():
        nn.init.zeros_(deformable.offset_net.weight)
        deformable.offset_net.bias.copy_(torch.tensor([1.0, 0.0]).repeat(25))  # row, column
        x = image(4)
        below = F.pad(x, (0, 0, 0, 1))[:, :, 1:]
        expected = F.conv2d(F.pad(below, (2, 2, 2, 2)), deformable.deform_conv.weight, groups=4)
        found = deformable(x)[:, :, 2:-3, 2:-2]  # rows that lie outside both maps differ
    torch.testing.assert_close(found, expected[:, :, 2:-3, 2:-2], rtol=1e-4, atol=1e-5)


def test_receptive_field_is_a_strided_convolution_of_a_larger_map() -> None:
    """As the authors write it: the windows laid out as k H x k W, then a kernel with stride k."""
    module: Any = made("rfaconv", 6, in_channels=5, kernel_size=5, stride=2)
    x, taps = image(5), 25
    with torch.no_grad():
        weight = module.get_weight(x).unflatten(1, (5, taps)).softmax(2)
        windows = module.generate_feature(x).unflatten(1, (5, taps)) * weight
        batch, _, _, height, width = windows.shape
        large = windows.view(batch, 5, 5, 5, height, width).permute(0, 1, 4, 2, 5, 3)
        large = large.reshape(batch, 5, 5 * height, 5 * width)
        expected = F.conv2d(large, module.conv[0].weight, module.conv[0].bias, stride=5)
        torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)
    assert expected.shape == (2, 6, 5, 6)


def test_one_receptive_field_is_a_convolution() -> None:
    """Equal weights and features that pass the pixels on: the last kernel over 9, of the image."""
    module: Any = made("rfaconv", 6, in_channels=5)
    with torch.no_grad():
        nn.init.zeros_(module.get_weight[1].weight)
        taps = torch.eye(9).view(9, 1, 3, 3).repeat(5, 1, 1, 1)
        module.generate_feature[0].weight.copy_(taps * (1 + module.generate_feature[1].eps) ** 0.5)
        x = image(5).relu()
        expected = F.conv2d(x / 9, module.conv[0].weight, module.conv[0].bias, padding=1)
        torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"kernel_size": 5, "has_skip": True}, {"use_conv": False}])
def test_timms_strip_attention(options: dict[str, Any]) -> None:
    theirs = create_attn("strip", 8, **options)
    assert theirs is not None
    ours = made("strip", variant="timm", **options)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(image()), theirs.eval()(image()))


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("lka", {"local_kernel_size": 7}, "here 5"),
        ("lska", {"kernel_size": 35, "dilated_kernel_size": 7}, "here 11"),
        ("lsk", {"kernel_sizes": (5, 7, 9)}, "two kernels"),
        ("caa", {"kernel_size": (11, 11, 11)}, "one number or two"),
        ("rfaconv", {"dilation": 2}, "dilation=2"),
        ("rfaconv", {"variant": "rfa_unfold", "stride": 2}, "stride=2"),
        ("cpca", {"kernel_sizes": (5, 7, 7)}, "no strip twice"),
        ("strip_pooling", {"variant": "mpm", "bias": True}, "bias=False"),
        ("strip_pooling", {"variant": "mpm", "pool_sizes": (4,)}, "two poolings"),
        ("strip_pooling", {"has_skip": True}, 'variant="timm"'),
    ],
)
def test_what_cannot_be_is_refused(name: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        made(name, **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [("caa", {"variant": "bottleneck"}), ("strip", {"variant": "mpm"}),
     ("strip", {"variant": "timm", "use_conv": False})],
)  # fmt: skip
def test_what_cannot_start_as_the_identity_says_so(name: str, options: dict[str, Any]) -> None:
    module: Any = made(name, **options)
    with pytest.raises(OptionError, match="residual"):
        module.init_identity()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e30])
def test_offsets_that_are_no_places_do_not_end_the_process(value: float) -> None:
    module: Any = zoo.create_attention("deformable_large_kernel", channels=8)
    x = torch.full((1, 8, 9, 9), value, requires_grad=True)
    module(x).sum().backward()
