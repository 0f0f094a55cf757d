"""Token mixers of one map where no recorded case reaches: timm's layers, equations, hosts."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from timm.layers import Attention
from timm.models.efficientvit_msra import CascadedGroupAttention, LocalWindowAttention
from timm.models.maxxvit import MaxxVitTransformerCfg, PartitionAttentionCl
from timm.models.shvit import SHSA
from torch import Tensor, nn

import zoo
from zoo.errors import IncompatibleBackboneError, OptionError, UsageError
from zoo.registry import default_registry
from zoo.weights.keymaps import carry_over, map_keys

LINEAR = ("focused_linear", "polarity_linear", "agent")
FOLDED = ("grid", "cascaded_group", "single_head", "window", "outlook")
VIT: dict[str, Any] = {"img_size": 64, "depth": 1, "num_classes": 5}
PATCHES: dict[str, Any] = {**VIT, "class_token": False, "global_pool": "avg"}


def randomised(module: Any) -> Any:
    """Every parameter drawn, those that start at zero or one too; statistics of training."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    for name, buffer in module.named_buffers():
        if "running" in name:
            nn.init.uniform_(buffer, 0.5, 1.5)
    module.eval()  # which gives nothing back in one of timm's layers
    return module


def double(name: str, dim: int, **options: Any) -> Any:
    return randomised(zoo.create_attention(name, dim, **options)).double()


def carried(name: str, ours: Any, theirs: nn.Module) -> Any:
    """Ours, with their weights."""
    key_map = default_registry().attentions[name].provenance.key_map
    carry_over(map_keys(key_map, theirs.state_dict(), ours, "tests"), ours)
    return ours.eval()


def softplus_scaled(layer: Any, rows: Tensor) -> Tensor:
    return rows / F.softplus(layer.scale)


def heads_of(rows: Tensor, heads: int) -> Tensor:
    return rows.unflatten(2, (heads, -1)).transpose(1, 2)


def local(layer: Any, values: Tensor, size: tuple[int, int]) -> Tensor:
    """The depthwise convolution of each head of values (B, heads, N, d), as (B, N, C)."""
    maps = [layer.dwc(values[:, i].mT.unflatten(2, size)) for i in range(values.shape[1])]
    return torch.cat(maps, 1).flatten(2).mT


@torch.no_grad()
@pytest.mark.parametrize("power", [3, 8])
def test_focused_linear_is_its_equation(power: float) -> None:
    ours = double("focused_linear", 24, feat_size=(3, 5), num_heads=3, focusing_factor=power)
    x = torch.randn(2, 15, 24, dtype=torch.float64)
    k, v = ours.kv(x).chunk(2, 2)
    focused = []
    for rows in (ours.q(x), k + ours.positional_encoding):
        rows = softplus_scaled(ours, rows.relu() + 1e-6)
        powers = rows**power
        focused.append(
            heads_of(rows.norm(dim=2)[..., None] * powers / powers.norm(dim=2)[..., None], 3)
        )
    weights = focused[0] @ focused[1].mT
    weights = weights / (weights.sum(3, keepdim=True) + 15e-6)
    v = heads_of(v, 3)
    y = (weights @ v).transpose(1, 2).flatten(2) + local(ours, v, (3, 5))
    torch.testing.assert_close(ours(x), ours.proj(y))


@torch.no_grad()
def test_polarity_linear_is_its_equation() -> None:
    ours = double("polarity_linear", 24, feat_size=(3, 5), num_heads=3, alpha=2.5)
    x = torch.randn(2, 15, 24, dtype=torch.float64)
    (q, gate), (k, v) = ours.qg(x).chunk(2, 2), ours.kv(x).chunk(2, 2)
    q, k = softplus_scaled(ours, q), softplus_scaled(ours, k + ours.positional_encoding)
    power, made, v = 1 + 2.5 * ours.power.sigmoid(), [], heads_of(v, 3)
    for sign, values in zip((1, -1), v.chunk(2, 3), strict=True):
        weights = torch.zeros(2, 3, 15, 15, dtype=torch.float64)
        for part in (1, -1):  # positive with positive, or with negative
            keys = (part * heads_of(k, 3)).relu() ** power
            weights += (sign * part * heads_of(q, 3)).relu() ** power @ keys.mT
        made.append(weights @ values / (weights.sum(3, keepdim=True) + 15e-6))
    y = torch.cat(made, 3).transpose(1, 2).flatten(2) + local(ours, v, (3, 5))
    torch.testing.assert_close(ours(x), ours.proj(y * gate))


@torch.no_grad()
def test_agent_without_biases_is_two_softmax_attentions_on_a_map_that_is_not_square() -> None:
    ours = double("agent", 16, feat_size=(4, 6), num_heads=2, agent_num=4, class_token=True)
    for name, table in ours.named_parameters():
        if name.endswith("_bias"):
            nn.init.zeros_(table)
    x = torch.randn(2, 25, 16, dtype=torch.float64)
    q, (k, v) = ours.q(x), ours.kv(x).chunk(2, 2)
    agents = q[:, 1:].unflatten(1, (2, 2, 2, 3)).mean((2, 4)).flatten(1, 2)
    q, k, a, values = (heads_of(t, 2) for t in (q, k, agents, v))
    pooled = (a @ k.mT / 8**0.5).softmax(3) @ values
    y = ((q @ a.mT / 8**0.5).softmax(3) @ pooled).transpose(1, 2).flatten(2)
    y[:, 1:] += ours.dwc(v[:, 1:].mT.unflatten(2, (4, 6))).flatten(2).mT
    torch.testing.assert_close(ours(x), ours.proj(y))


@torch.no_grad()
def test_biases_of_agents_are_tables_and_axes() -> None:
    ours = double("agent", 16, feat_size=7, num_heads=2, agent_num=4)
    to_agents, from_agents = ours.biases()
    row, column, agent = 2, 5, 3
    at = row * 7 + column
    expected = ours.an_bias[1, agent, row, column] + ours.ah_bias[0, 1, agent, row, 0]
    expected = expected + ours.aw_bias[0, 1, agent, 0, column]
    torch.testing.assert_close(to_agents[0, 1, agent, at], expected)
    expected = ours.na_bias[1, agent, row, column] + ours.ha_bias[0, 1, row, 0, agent]
    expected = expected + ours.wa_bias[0, 1, 0, column, agent]
    torch.testing.assert_close(from_agents[0, 1, at, agent], expected)


@pytest.mark.parametrize("name", LINEAR)
def test_the_cost_is_linear_and_large_maps_stay_finite(name: str) -> None:
    ours = zoo.create_attention(name, 16, feat_size=(96, 96), num_heads=2).eval()
    with torch.no_grad():
        for dtype, scale in ((torch.float32, 1e4), (torch.bfloat16, 1e4), (torch.float16, 100.0)):
            x = (scale * torch.randn(1, 96 * 96, 16)).to(dtype)
            assert ours.to(dtype)(x).isfinite().all()


@pytest.mark.parametrize("name", LINEAR)
def test_reduced_keys_are_averages_after_a_start_from_softmax_attention(name: str) -> None:
    ours: Any = zoo.create_attention(name, 32, feat_size=(4, 6), num_heads=4, sr_ratio=2)
    theirs = Attention(32, num_heads=4, qkv_bias=True)
    assert not ours.take_over(theirs)
    coarse = torch.randn(1, 32, 2, 3)
    x = F.interpolate(coarse, scale_factor=2).flatten(2).mT
    torch.testing.assert_close(ours.reduced(x), F.layer_norm(coarse.flatten(2).mT, (32,)))
    torch.testing.assert_close(ours.kv.weight, theirs.qkv.weight[32:])


def test_the_authors_joint_layer_inside_a_network() -> None:
    ours = zoo.create_attention("polarity_linear", 16, feat_size=4, num_heads=2)
    state = {f"layers.0.attn.{key}": value for key, value in ours.state_dict().items()}
    theirs = dict(state)
    (q, g), (k, v) = (theirs.pop(f"layers.0.attn.{n}.weight").chunk(2) for n in ("qg", "kv"))
    theirs["layers.0.attn.qkvg.weight"] = torch.cat([q, k, v, g])
    (q, g), (k, v) = (theirs.pop(f"layers.0.attn.{n}.bias").chunk(2) for n in ("qg", "kv"))
    theirs["layers.0.attn.qkvg.bias"] = torch.cat([q, k, v, g])
    spec = default_registry().attentions["polarity_linear"]
    found = map_keys(spec.provenance.key_map, theirs, ours, "tests")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


@pytest.mark.parametrize(
    ("layer", "settings", "size"),
    [
        (SHSA, {"qk_dim": 8, "pdim": 10}, (5, 9)),
        (CascadedGroupAttention, {"key_dim": 8, "num_heads": 3, "attn_ratio": 2, "resolution": 6,
                                  "kernels": (7, 3, 5)}, (6, 6)),
        (LocalWindowAttention, {"key_dim": 16, "num_heads": 3, "attn_ratio": 1, "resolution": 9,
                                "window_resolution": 5}, (9, 7)),
        (LocalWindowAttention, {"key_dim": 16, "num_heads": 3, "attn_ratio": 1, "resolution": 4,
                                "window_resolution": 7}, (4, 4)),
    ],
)  # fmt: skip
def test_timms_layers_on_maps(layer: Any, settings: dict[str, Any], size: tuple[int, int]) -> None:
    name = "single_head" if layer is SHSA else "cascaded_group"
    theirs = randomised(layer(48, **settings))
    if layer is CascadedGroupAttention:
        settings = {**settings, "local_window": False}
    ours = carried(name, zoo.create_attention(name, 48, **settings), theirs)
    x = torch.randn(2, 48, *size)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["grid", "block"])
@pytest.mark.parametrize("rel_pos", ["bias", "bias_tf", ""])
@pytest.mark.parametrize("head_first", [True, False])
def test_timms_partitions(kind: str, rel_pos: str, head_first: bool) -> None:
    settings = MaxxVitTransformerCfg(
        dim_head=8, head_first=head_first, rel_pos_type=rel_pos, window_size=(3, 2),
        grid_size=(3, 2), attn_bias=True, norm_layer_cl="layernorm", act_layer="gelu",
    )  # fmt: skip
    theirs = randomised(PartitionAttentionCl(24, partition_type=kind, cfg=settings))
    options: dict[str, Any] = {"rel_pos_type": rel_pos, "head_first": head_first, "dim_head": 8}
    made = zoo.create_attention(
        "maxvit", 24, partition_type=kind, partition_size=(3, 2), full_block=True, **options
    )
    ours = carried("grid", made, theirs)
    x = torch.randn(2, 9, 8, 24)
    torch.testing.assert_close(ours(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1), theirs(x))


@torch.no_grad()
@pytest.mark.parametrize("kind", ["grid", "block"])
def test_what_is_added_to_a_map_that_is_not_divided_is_not_seen(kind: str) -> None:
    """One window is the whole map, so that it is softmax attention over the places of the map."""
    theirs = Attention(16, num_heads=2, qkv_bias=True).eval()
    for head_first in (False, True):
        ours: Any = zoo.create_attention(
            "grid", 16, partition_type=kind, partition_size=(4, 7), num_heads=2,
            head_first=head_first,
        )  # fmt: skip
        assert not ours.take_over(theirs)
        x = torch.randn(2, 16, 3, 5)
        expected = theirs(x.flatten(2).mT).mT.unflatten(2, (3, 5))
        torch.testing.assert_close(ours(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["cascaded_group", "single_head"])
def test_it_starts_at_zero_as_the_authors_do(name: str) -> None:
    assert not zoo.create_attention(name, 32)(torch.randn(2, 32, 8, 8)).any()


@pytest.mark.parametrize("name", [*LINEAR, *FOLDED, "retention"])
@torch.no_grad()
def test_beside_the_attention_of_a_network_with_a_class_token(name: str) -> None:
    """It starts without effect, and then adds to the patches alone, of one block."""
    model: Any = timm.create_model("vit_tiny_patch16_224", **VIT).eval()
    x = torch.randn(2, 3, 64, 64)
    expected = model(x)
    whole: Any = zoo.create_model(f"{name}_vit_tiny_patch16_224", insertion="residual", **VIT)
    missing = whole.load_state_dict(model.state_dict(), strict=False)
    assert not missing.unexpected_keys
    torch.testing.assert_close(whole.eval()(x), expected)
    randomised(whole.blocks[0].attn.attn)
    tokens = torch.randn(2, 17, 192)
    added = whole.blocks[0].attn(tokens) - model.blocks[0].attn(tokens)
    assert added[:, 1:].abs().amax() > 1e-3
    assert (added[:, :1].abs().amax() > 1e-3) == (name == "agent")  # which takes a class token


@pytest.mark.parametrize("name", [*FOLDED, "agent"])
def test_in_the_place_of_the_attention(name: str) -> None:
    options = VIT if name == "agent" else PATCHES
    model: Any = zoo.create_model(f"{name}_vit_tiny_patch16_224", **options)
    model(torch.randn(2, 3, 64, 64)).sum().backward()
    assert model.zoo.sites == ["blocks.0.attn"]
    with pytest.raises(IncompatibleBackboneError, match=r"grid of 4 x 4"):
        model.set_input_size((96, 96))


@pytest.mark.parametrize("name", ["grid", "focused_linear"])
def test_in_the_place_of_an_attention_that_also_serves_a_class_token_it_is_refused(
    name: str,
) -> None:
    with pytest.raises(IncompatibleBackboneError, match="has 1 more"):
        zoo.create_model(f"{name}_vit_tiny_patch16_224", **VIT)


@torch.no_grad()
@pytest.mark.parametrize("name", ["agent", "focused_linear"])
def test_added_to_a_network_with_a_class_token(name: str) -> None:
    model: Any = timm.create_model("vit_tiny_patch16_224", **{**VIT, "depth": 2}).eval()
    x = torch.randn(1, 3, 64, 64)
    expected = model(x)
    zoo.add_attention(model, name, example=x)
    torch.testing.assert_close(model(x), expected)
    for parameter in zoo.attention_parameters(model):
        parameter.add_(0.1)
    assert (model(x) - expected).abs().amax() > 1e-3
    zoo.remove_attention(model)
    assert torch.equal(model(x), expected)
    with pytest.raises(IncompatibleBackboneError, match="has 1 more"):
        zoo.add_attention(model, "focused_linear", example=x, insertion="plain")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("agent", {"feat_size": 4, "agent_num": 8}, "agent_num=8"),
        ("agent", {"feat_size": 4, "class_token": True, "reduction": 2}, "class token"),
        ("focused_linear", {"feat_size": (2, 4), "reduction": 3}, "reduction=3"),
        ("polarity_linear", {"feat_size": 4, "num_heads": 32}, "head_dim=1"),
        ("cascaded_group", {"num_heads": 4, "attn_ratio": 4}, "attn_ratio=4"),
        ("cascaded_group", {"num_heads": 4, "kernels": [5, 3]}, "kernel_size"),
        ("cascaded_group", {"local_window": False}, "resolution"),
        ("single_head", {"pdim": 33}, "pdim=33"),
    ],
)
def test_what_cannot_be_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        zoo.create_attention(name, 32, **options)


def test_tokens_of_another_map_are_refused() -> None:
    with pytest.raises((UsageError, OptionError), match="no map of 4 x 5"):
        zoo.create_attention("agent", 32, feat_size=(4, 5))(torch.randn(1, 21, 32))
