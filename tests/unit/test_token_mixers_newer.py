"""Younger token mixers where no recorded case reaches: timm's own layers, equations, options."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from timm.layers import Attention, AttentionPool2d, AttentionPoolLatent, DiffAttention
from timm.models.cait import ClassAttn
from timm.models.convit import GPSA
from timm.models.mobilevit import LinearTransformerBlock
from timm.models.xcit import XCA
from torch import nn

import zoo
from zoo import testing
from zoo.errors import OptionError, UsageError
from zoo.registry import default_registry
from zoo.weights.keymaps import map_keys

WIDTH = 48
TIMM: list[tuple[str, Any, dict[str, Any], dict[str, Any]]] = [
    ("xca", XCA, {"num_heads": 6, "qkv_bias": False}, {}),
    ("class_attn", ClassAttn, {"num_heads": 6, "qkv_bias": True}, {}),
    ("gpsa", GPSA, {"num_heads": 5, "qkv_bias": True}, {"feat_size": 6}),
    ("diff_attention", DiffAttention, {"num_heads": 3, "depth": 4, "qk_norm": True}, {}),
    ("diff_attention", DiffAttention, {"num_heads": 4, "dual_lambda": True}, {}),
    ("attn_pool", AttentionPoolLatent, {"num_heads": 6, "latent_len": 2, "mlp_ratio": 3.0},
     {"form": "latent"}),
    ("attn_pool", AttentionPoolLatent, {"num_heads": 6, "out_features": 0}, {"form": "latent"}),
]  # fmt: skip


def randomised(module: Any) -> Any:
    """Every parameter drawn, those that start at zero or one too."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


@pytest.mark.parametrize(("name", "layer", "options", "more"), TIMM)
def test_timms_layer_and_weights(
    name: str, layer: Any, options: dict[str, Any], more: dict[str, Any]
) -> None:
    width = 60 if name == "gpsa" else WIDTH
    theirs = randomised(layer(width, **options))
    ours = zoo.create_attention(name, width, **options, **more).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 36, width)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{"num_heads": 6}, {"num_heads": 3, "out_features": 0}])
def test_attention_pool_resamples_its_table_as_timm_does(options: dict[str, Any]) -> None:
    theirs = randomised(AttentionPool2d(WIDTH, feat_size=(4, 6), **options))
    ours = zoo.create_attention("attention_pool", WIDTH, feat_size=(4, 6), **options).eval()
    ours.load_state_dict(theirs.state_dict())
    for size in ((4, 6), (7, 5)):
        x = torch.randn(2, WIDTH, *size)
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_separable_is_timms_layer_on_patches() -> None:
    theirs: Any = randomised(LinearTransformerBlock(WIDTH).attn)
    ours: Any = zoo.create_attention("separable", WIDTH)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, WIDTH, 4, 12)
    torch.testing.assert_close(ours.patches(x), theirs(x))


def test_separable_makes_its_context_of_a_memory() -> None:
    ours: Any = zoo.create_attention("separable", 8)
    x, memory = torch.randn(2, 5, 8), torch.randn(2, 9, 8)
    weight, bias = ours.qkv_proj.weight[:, :, 0, 0], ours.qkv_proj.bias
    query, key, _ = F.linear(memory, weight, bias).split([1, 8, 8], 2)
    context = (query.softmax(1) * key).sum(1, keepdim=True)
    value = F.linear(x, weight[9:], bias[9:]).relu()
    last = ours.out_proj
    expected = F.linear(value * context, last.weight[:, :, 0, 0], last.bias)
    torch.testing.assert_close(ours(x, memory=memory), expected)


@pytest.mark.parametrize("mode", ["full", "local"])
def test_attention_free_is_its_equation_and_stays_finite(mode: Any) -> None:
    window: dict[str, Any] = {"window_size": 3} if mode == "local" else {}
    ours: Any = zoo.create_attention("aft", 6, mode=mode, max_len=9, **window).double()
    x = torch.randn(2, 7, 6, dtype=torch.float64)
    q, k, v, w = ours.to_q(x), ours.to_k(x), ours.to_v(x), ours.wbias[:7, :7]
    if window:
        place = torch.arange(7)
        w = torch.where((place - place[:, None]).abs() < 3, w, 0.0)
    terms = (k[:, None] + w[None, :, :, None]).exp()  # B, query, key, channel
    expected = q.sigmoid() * (terms * v[:, None]).sum(2) / terms.sum(2)
    torch.testing.assert_close(ours(x), ours.project(expected))
    assert ours.float()(1e4 * x.float()).isfinite().all()
    with pytest.raises(UsageError, match="max_len"):
        ours(torch.randn(1, 10, 6))


@pytest.mark.parametrize(
    "options",
    [{"mode": "full", "max_len": 64}, {"mode": "local", "max_len": 80, "window_size": 5}],
)
@pytest.mark.parametrize(
    "check", [testing.check_mask, testing.check_gradients, testing.check_half_precision]
)
def test_attention_free_with_biases_conforms(options: dict[str, Any], check: Any) -> None:
    spec = default_registry().attentions["attention_free"]
    check(replace(spec, options=replace(spec.options, defaults=options)))


def test_unit_force_of_a_zero_vector_is_zero() -> None:
    ours: Any = zoo.create_attention("ufo", 8, qkv_bias=False)
    y = ours(torch.zeros(1, 5, 8))
    torch.testing.assert_close(y, ours.fc_o.bias.expand_as(y))


def test_gated_positional_weights_are_one_softmax_over_a_map_that_need_not_be_square() -> None:
    ours: Any = randomised(zoo.create_attention("gpsa", 24, feat_size=(3, 5), num_heads=4))
    rows, columns = ours.position_weights()
    y, x = (t.flatten() for t in torch.meshgrid(torch.arange(3), torch.arange(5), indexing="ij"))
    dy, dx = (t - t[:, None] for t in (y, x))
    places = torch.stack([dx, dy, dx**2 + dy**2], -1).float()
    expected = ours.pos_proj(places).permute(2, 0, 1).softmax(2)
    found = torch.einsum("hyg,hxw->hyxgw", rows, columns).flatten(3).flatten(1, 2)
    torch.testing.assert_close(found, expected)


def test_gated_positional_starts_as_timms() -> None:
    theirs: Any = GPSA(36, num_heads=9)
    theirs.local_init()
    ours: Any = zoo.create_attention("gpsa", 36, feat_size=4, num_heads=9)
    for name in ("pos_proj.weight", "v.weight", "gating_param"):
        torch.testing.assert_close(ours.get_parameter(name), theirs.get_parameter(name))


@torch.no_grad()
def test_retention_of_equal_keys_is_a_mean_by_distance() -> None:
    ours: Any = zoo.create_attention("retention", 8, feat_size=(3, 4), num_heads=2).double()
    nn.init.zeros_(ours.k_proj.weight)
    nn.init.zeros_(ours.k_proj.bias)
    nn.init.zeros_(ours.lepe.weight)
    nn.init.zeros_(ours.lepe.bias)
    x = torch.randn(1, 12, 8, dtype=torch.float64)
    y, column = (
        t.flatten() for t in torch.meshgrid(torch.arange(3), torch.arange(4), indexing="ij")
    )
    distance = (y - y[:, None]).abs() + (column - column[:, None]).abs()
    heads = []
    for head, values in enumerate(ours.v_proj(x).chunk(2, 2)):
        weights = (1 - 2.0 ** -(2 + 4 * head / 2)) ** distance.double()
        heads.append(weights / weights.sum(1, keepdim=True) @ values)
    torch.testing.assert_close(ours(x), ours.out_proj(torch.cat(heads, 2)))
    ours.decomposed = True  # a product of powers is the power of the sum
    torch.testing.assert_close(ours(x), ours.out_proj(torch.cat(heads, 2)))


def attention() -> Attention:
    return Attention(32, num_heads=4, qkv_bias=True).eval()


@torch.no_grad()
def test_spatial_reduction_by_one_is_multi_head_attention() -> None:
    theirs, x = attention(), torch.randn(2, 12, 32)
    options: dict[str, Any] = {"feat_size": (3, 4), "num_heads": 4, "qkv_bias": True}
    ours: Any = zoo.create_attention("sra", 32, sr_ratio=1, **options)
    assert ours.take_over(theirs)
    torch.testing.assert_close(ours(x), theirs(x))
    reduced: Any = zoo.create_attention("sra", 32, **options)
    assert not reduced.take_over(theirs)
    other: Any = zoo.create_attention("sra", 32, sr_ratio=1, **{**options, "num_heads": 2})
    assert not other.take_over(theirs)


@torch.no_grad()
def test_spatial_reduction_starts_from_averages() -> None:
    """Of a map that is constant in each 2 x 2 window, the reduced tokens are the norm of these."""
    ours: Any = zoo.create_attention("sra", 32, feat_size=(4, 6), num_heads=4, qkv_bias=True)
    ours.take_over(attention())
    coarse = torch.randn(1, 32, 2, 3)
    x = F.interpolate(coarse, scale_factor=2).flatten(2).mT
    expected = F.layer_norm(coarse.flatten(2).mT, (32,))
    torch.testing.assert_close(ours._reduced(x), expected)  # pyright: ignore[reportPrivateUsage]


def test_a_remainder_of_the_map_is_left_out_of_the_keys() -> None:
    ours: Any = zoo.create_attention("sra", 16, feat_size=(5, 7), reduction=3)
    assert ours(torch.randn(1, 35, 16)).shape == (1, 35, 16)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("aft", {"mode": "full"}, "needs max_len"),
        ("aft", {"window_size": 3}, "has no window_size"),
        ("differential", {"num_heads": 4, "head_dim": 3}, "head_dim=3"),
        ("differential", {"num_heads": 4, "num_kv_heads": 2}, "num_kv_heads=2"),
        ("attention_pool", {"latent_len": 2}, "latent_len"),
        ("attention_pool", {"type": "latent", "class_token": True}, "class_token"),
        ("attention_pool", {"type": "latent", "pos_embed": "abs"}, "feat_size"),
        ("retention", {"num_heads": 32}, "head_dim=1"),
        ("sra", {"feat_size": (2, 4), "reduction": 3}, "reduction=3"),
    ],
)
def test_what_cannot_be_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        zoo.create_attention(name, 32, **options)


@pytest.mark.parametrize(
    ("name", "others", "own"),
    [
        ("xca", {"proj_bias": False}, {"bias": False}),
        ("aft", {"max_seqlen": 9}, {}),
        ("aft", {"max_seqlen": 36, "mode": "full"}, {"max_len": 36, "mode": "full"}),
        ("ufo", {"d_k": 8, "d_v": 12, "h": 4}, {"head_dim": 8, "value_dim": 12, "num_heads": 4}),
        ("differential", {"head_dim": 8, "num_kv_heads": 3}, {"num_heads": 3}),
        ("sra", {"sr_ratio": 3, "input_size": [6, 6]}, {"reduction": 3, "feat_size": 6}),
        ("gpsa", {"use_local_init": False, "input_size": 6}, {"local_init": False, "feat_size": 6}),
        ("retention", {"value_factor": 1, "bias": True}, {}),
        (
            "attention_pool",
            {"type": "latent", "feat_size": 36, "pos_embed": ""},
            {"form": "latent"},
        ),
    ],
)
def test_the_names_of_others_make_the_same_module(
    name: str, others: dict[str, Any], own: dict[str, Any]
) -> None:
    theirs, ours = (zoo.create_attention(name, WIDTH, **given) for given in (others, own))
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 36, WIDTH)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_the_authors_names_of_a_differential_layer_inside_a_network() -> None:
    ours = zoo.create_attention("differential", 16, num_heads=2, bias=False)
    state = {f"layers.0.attn.{key}": value for key, value in ours.state_dict().items()}
    theirs = dict(state)
    rows = theirs.pop("layers.0.attn.qkv.weight").chunk(3)
    theirs |= {f"layers.0.attn.{n}_proj.weight": t for n, t in zip("qkv", rows, strict=True)}
    theirs["layers.0.attn.out_proj.weight"] = theirs.pop("layers.0.attn.proj.weight")
    theirs["layers.0.attn.subln.weight"] = theirs.pop("layers.0.attn.sub_norm.weight")
    spec = default_registry().attentions["differential"]
    found = map_keys(spec.provenance.key_map, theirs, ours, "tests")
    assert found.keys() == state.keys()
    for key, value in state.items():
        torch.testing.assert_close(found[key], value)


def test_what_is_masked_has_no_influence_wherever_it_stands() -> None:
    x = torch.randn(2, 9, WIDTH)
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[:, [3, 6]] = False
    for name in ("class_attention", "xca", "separable", "aft", "ufo", "differential"):
        module: Any = zoo.create_attention(name, WIDTH).eval()
        found, expected = module(x, mask=mask), module(x[:, mask[0]])
        found = found if found.shape[1] == 1 else found[:, mask[0]]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("aft", {"mode": "full", "max_len": 17}),
        ("aft", {"mode": "local", "max_len": 17, "window_size": 4}),
        ("differential", {"depth": 3, "dual_lambda": True, "scale_norm": True}),
    ],
)
def test_forms_that_are_not_the_default_stand_in_a_transformer(
    name: str, options: dict[str, Any]
) -> None:
    model = zoo.create_model(
        f"{name}_vit_tiny_patch16_224", img_size=64, depth=1, num_classes=5,
        attention_options=options,
    )  # fmt: skip
    assert model(torch.randn(2, 3, 64, 64)).isfinite().all()


@pytest.mark.parametrize(
    ("name", "options"),
    [("sra", {"linear": True}), ("sra", {"reduction": 1}), ("retention", {"decomposed": True})],
)
def test_forms_that_are_not_the_default_stand_in_a_transformer_of_patches(
    name: str, options: dict[str, Any]
) -> None:
    model = zoo.create_model(
        f"{name}_vit_tiny_patch16_224", img_size=64, depth=1, num_classes=5, class_token=False,
        global_pool="avg", attention_options=options,
    )  # fmt: skip
    assert model(torch.randn(2, 3, 64, 64)).isfinite().all()
