"""The first mechanisms: their options, their kinship with timm's layers, their warm starts."""

from __future__ import annotations

from typing import Any

import pytest
import timm.layers as layers
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.layers._fx import get_notrace_functions
from torch import Tensor, nn
from torchvision.models.feature_extraction import NodePathTracer

import zoo
from zoo.errors import OptionError
from zoo.registry import default_registry

NAMES = (
    "se",
    "eca",
    "cbam",
    "cbam_channel",
    "cbam_spatial",
    "bam",
    "simam",
    "non_local",
    "global_context",
    "selective_kernel",
    "split_attention",
)
EXACT = [
    name for name in NAMES if default_registry().attentions[name].insertion.identity == "exact"
]


def build(name: str, channels: int = 32, **options: Any) -> Any:
    torch.manual_seed(0)
    return zoo.create_attention(name, channels=channels, **options)


def sample(channels: int = 32, size: tuple[int, int] = (9, 7), batch: int = 2) -> Tensor:
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def shake(module: nn.Module) -> nn.Module:
    """Move every tensor off its start, where a scale of zero would hide differences."""
    torch.manual_seed(2)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(torch.rand_like(tensor) * 0.5)
    return module.eval()


@pytest.mark.parametrize(
    ("name", "options", "theirs", "their_options"),
    [
        ("se", {"rd_ratio": 1 / 16}, layers.SEModule, {}),
        ("se", {"rd_ratio": 0.25, "rd_divisor": 4}, layers.SEModule, {"rd_ratio": 0.25}),
        ("eca", {}, layers.EcaModule, {}),
        ("non_local", {"variant": "timm"}, layers.NonLocalAttn, {}),
        ("non_local", {"variant": "timm", "rd_ratio": 0.5}, layers.NonLocalAttn, {"rd_ratio": 0.5}),
        (
            "global_context",
            {"rd_ratio": 1 / 8, "fusion": "channel_mul", "norm_eps": 1e-6},
            layers.GlobalContext,
            {},
        ),
        (
            "selective_kernel",
            {"split_input": True, "rd_ratio": 1 / 16},
            layers.SelectiveKernel,
            {},
        ),
        ("split_attention", {}, layers.SplitAttn, {"norm_layer": nn.BatchNorm2d}),
        (
            "split_attention",
            {"radix": 4, "groups": 2, "stride": 2},
            layers.SplitAttn,
            {"radix": 4, "groups": 2, "stride": 2, "norm_layer": nn.BatchNorm2d},
        ),
    ],
)
def test_a_state_dict_of_timm_loads_as_it_is(
    name: str, options: dict[str, Any], theirs: Any, their_options: dict[str, Any]
) -> None:
    reference = shake(theirs(64, **their_options, dtype=torch.float64))
    module = build(name, 64, **options, dtype=torch.float64).eval()
    module.load_state_dict(reference.state_dict())
    x = sample(64).double()
    torch.testing.assert_close(module(x), reference(x))


def test_cbam_is_timms_with_the_two_planes_in_the_authors_order() -> None:
    reference = shake(layers.cbam.CbamModule(64, mlp_bias=True))
    module = build("cbam", 64).eval()
    state = dict(reference.state_dict())
    state["spatial.conv.conv.weight"] = state["spatial.conv.conv.weight"].flip(1)
    module.load_state_dict(state)
    torch.testing.assert_close(module(sample(64)), reference(sample(64)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("channels", [16, 24, 40, 64])
@pytest.mark.parametrize("name", EXACT)
def test_a_warm_start_is_a_constant_gate_of_any_width(name: str, channels: int) -> None:
    module, x = build(name, channels), sample(channels)
    module.load_state_dict(shake(module).state_dict())
    gate = module.init_identity()
    assert gate != 0
    torch.testing.assert_close(module.eval()(x), gate * x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "gate"),
    [
        ("cbam", {"variant": "paper"}, 0.25),
        ("cbam", {"spatial": False}, 0.5),
        ("bam", {"variant": "paper"}, 1.5),
        ("bam", {"fusion": "sum"}, 1.5),
        ("bam", {"num_dilated_convs": 0, "num_hidden_layers": 2}, 1.5),
        ("non_local", {"bn": False}, 1.0),
        ("non_local", {"mode": "concat"}, 1.0),
        ("non_local", {"variant": "official"}, 1.0),
        ("global_context", {"fusion": ["channel_mul", "channel_add"]}, 0.5),
        ("se", {"bias": False}, 0.5),
    ],
)
def test_every_form_has_its_constant(name: str, options: dict[str, Any], gate: float) -> None:
    module, x = shake(build(name, **options)), sample()
    assert module.init_identity() == pytest.approx(gate)
    torch.testing.assert_close(module(x), gate * x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels", [32, 48, 64, 80])
@pytest.mark.parametrize("name", ["se", "cbam_channel"])
def test_a_warm_started_perceptron_learns_everywhere_at_once(name: str, channels: int) -> None:
    module = build(name, channels)
    module.init_identity()
    (module(sample(channels)) - 1).square().mean().backward()
    for key, parameter in module.named_parameters():
        assert parameter.grad.abs().max() > 0, key


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_scripted_traced_and_exported(name: str) -> None:
    module, x = shake(build(name)), sample()
    expected = module(x)
    scripted = torch.jit.script(module)
    graph = NodePathTracer(autowrap_functions=tuple(get_notrace_functions())).trace(module)
    exported = torch.export.export(module, (x,)).module()
    for form in (scripted, torch.fx.GraphModule(module, graph), exported):
        torch.testing.assert_close(form(x), expected)


@pytest.mark.parametrize("size", [(8, 8), (7, 3), (40, 40)])
def test_the_dot_product_is_the_same_however_it_is_associated(size: tuple[int, int]) -> None:
    module = shake(build("non_local", mode="dot"))
    x = sample(size=size)
    theta, _, g = module._project(x)
    y = (module.attention(x) @ g).transpose(1, 2).unflatten(2, size)
    torch.testing.assert_close(module(x), x + module.norm(module.z(y)), rtol=1e-4, atol=1e-4)
    assert theta.shape == (2, size[0] * size[1], 16)


@pytest.mark.parametrize("mode", ["embedded_gaussian", "gaussian", "concat"])
def test_the_fused_kernel_agrees_with_the_attention_it_does_not_form(mode: str) -> None:
    module = shake(build("non_local", mode=mode))
    x = sample(size=(40, 40)) * 0.2  # 1,600 keys
    _, _, g = module._project(x)
    y = (module.attention(x) @ g).transpose(1, 2).unflatten(2, (40, 40))
    torch.testing.assert_close(module(x), x + module.norm(module.z(y)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_non_local_takes_sequences_images_and_clips(dimension: int) -> None:
    module = build("non_local", 8, dimension=dimension, variant="official").eval()
    x = torch.randn(2, 8, *(4, 6, 8)[:dimension])
    assert torch.equal(module(x), x)


def test_simam_of_one_position_is_finite() -> None:
    x = sample(size=(1, 1)).requires_grad_()
    y = build("simam")(x)
    y.sum().backward()
    torch.testing.assert_close(y, x * torch.sigmoid(torch.tensor(0.5)))
    assert x.grad is not None and x.grad.isfinite().all()


def test_the_maximum_sends_its_gradient_to_one_position() -> None:
    x = torch.ones(1, 4, 3, 3, requires_grad=True)
    module = build("cbam_channel", 4, pool_types=["max"], reduction=2)
    scale = module(x)
    (grad,) = torch.autograd.grad(scale.sum() - (x * scale.detach() / x.detach()).sum(), x)
    assert (grad.abs() > 1e-8).flatten(2).sum(2).max() <= 1


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("se", {"reduction": 4, "reduced_channels": 5}, ["reduction=4", "reduced_channels=5"]),
        ("se", {"rd_ratio": 0.25, "reduction": 2}, ["rd_ratio=0.25", "reduction=2"]),
        ("se", {"reduction": 0}, ["reduction=0"]),
        ("se", {"reduction": -4}, ["reduction=-4"]),
        ("se", {"reduction": 64}, ["reduction=64", "channels=32"]),
        ("se", {"reduction": "4"}, ["reduction='4'"]),
        ("se", {"reduced_channels": 2.5}, ["reduced_channels=2.5"]),
        ("se", {"reduced_channels": True}, ["reduced_channels=True"]),
        ("eca", {"kernel_size": 4}, ["kernel_size=4"]),
        ("eca", {"kernel_size": -1}, ["kernel_size=-1"]),
        ("eca", {"kernel_size": {64: 3}}, ["kernel_size", "channels=32"]),
        ("eca", {"gamma": 0}, ["gamma=0"]),
        ("eca", {"bias": True}, ["bias=True"]),
        ("cbam", {"pool_types": ["avg", "median"]}, ["pool_types", "'median'"]),
        ("cbam", {"pool_types": []}, ["pool_types=[]"]),
        ("cbam", {"variant": "paper", "norm": "batch"}, ["no option 'norm'", "variant"]),
        ("cbam", {"kernel_size": 6}, ["kernel_size=6"]),
        ("bam", {"variant": "paper", "fusion": "product"}, ["variant='paper'", "fusion='product'"]),
        ("bam", {"fusion": "maximum"}, ["fusion='maximum'"]),
        ("bam", {"dilation": 0}, ["dilation=0"]),
        ("simam", {"e_lambda": 0.0}, ["e_lambda=0.0"]),
        ("simam", {"e_lambda": float("nan")}, ["e_lambda=nan"]),
        ("non_local", {"mode": "cosine"}, ["mode='cosine'"]),
        ("non_local", {"dimension": 4}, ["dimension=4"]),
        ("global_context", {"fusion": []}, ["fusion=[]"]),
        ("global_context", {"fusion": "channel_div"}, ["channel_div"]),
        ("global_context", {"fusion": ["channel_add"], "fuse_scale": True}, ["fuse_scale=True"]),
        ("global_context", {"pooling": "att", "use_attn": False}, ["pooling='att'", "use_attn"]),
        ("global_context", {"norm_eps": -1.0}, ["norm_eps=-1.0"]),
        ("selective_kernel", {"groups": 5}, ["groups=5"]),
        ("selective_kernel", {"kernel_size": [3, 4]}, ["[3, 4]"]),
        ("selective_kernel", {"kernel_size": [3, 5], "num_paths": 3}, ["num_paths=3"]),
        ("selective_kernel", {"dilation": [1, 3]}, ["dilation=[1, 3]"]),
        ("selective_kernel", {"in_channels": 31, "split_input": True}, ["in_channels=31"]),
        ("split_attention", {"groups": 3}, ["groups"]),
        ("split_attention", {"radix": 0}, ["radix=0"]),
        ("split_attention", {"reduction": 4, "reduced_channels": 33}, ["reduced_channels=33"]),
    ],
)
def test_an_impossible_option_is_named(
    name: str, options: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(OptionError) as caught:
        build(name, **options)
    for word in (name.split("_channel")[0], *words):
        assert word in str(caught.value)


@given(channels=st.integers(1, 4096), reduction=st.integers(1, 64))
def test_the_width_of_se_is_the_authors_floor(channels: int, reduction: int) -> None:
    if channels < reduction:
        with pytest.raises(OptionError):
            zoo.create_attention("se", channels=channels, reduction=reduction, device="meta")
    else:
        module: Any = zoo.create_attention(
            "se", channels=channels, reduction=reduction, device="meta"
        )
        assert module.fc1.out_channels == channels // reduction


@given(channels=st.integers(1, 8192))
def test_the_kernel_of_eca_is_odd_and_grows_with_the_channels(channels: int) -> None:
    module: Any = zoo.create_attention("eca", channels=channels, device="meta")
    k = module.conv.kernel_size[0]
    assert k % 2 == 1
    assert abs(k - (torch.log2(torch.tensor(float(channels))).item() + 1) / 2) <= 1.01


@pytest.mark.parametrize(("channels", "kernel"), [(64, 3), (128, 5), (512, 5), (2048, 7)])
def test_the_kernel_of_eca_as_published(channels: int, kernel: int) -> None:
    assert build("eca", channels).conv.kernel_size == (kernel,)


def test_timms_efficientnet_builder_can_probe_se() -> None:
    assert build("se", 8, rd_ratio=1.0).fc1.out_channels == 8


@pytest.mark.parametrize("name", ["selective_kernel", "split_attention"])
def test_a_convolution_keeps_its_place(name: str) -> None:
    module = build(name, 48, in_channels=32, stride=2, groups=2).eval()
    assert module(sample(32, (9, 8))).shape == (2, 48, 5, 4)
    dilated = build(name, 32, dilation=2).eval()
    assert dilated(sample()).shape == sample().shape
