"""Self-attention on tokens: kinship with softmax attention, plain loops, masks, randomness."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from timm.layers import Attention
from torch import Tensor, nn
from zoo_plugins.mechanisms.self_attention.hashing import cluster, counts, spread_positions, sums
from zoo_plugins.mechanisms.self_attention.linear_recurrence import causal_sums

import zoo
from zoo.errors import OptionError, UsageError
from zoo.registry import default_registry
from zoo.weights.keymaps import carry_over, map_keys


def build(name: str, channels: int | None = 32, **options: Any) -> Any:
    torch.manual_seed(0)
    return zoo.create_attention(name, channels, **options).eval()


def randn(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def softmax_attention(module: Any, x: Tensor) -> Tensor:
    """What softmax attention makes of a `TokenMixer`'s own q, k, v."""
    q, k, v = module.project(x)
    return module.merge(F.scaled_dot_product_attention(q, k, v))


MASKED: dict[str, dict[str, Any]] = {
    "multi_head": {},
    "talking_heads": {},
    "clustered": {"num_clusters": 5},
    "clustered improved": {"num_clusters": 5, "improved": True, "topk": 4},
    "smyrf": {"q_cluster_size": 8, "k_cluster_size": 8},
    "random_feature": {},
    "random_feature causal": {"causal": True},
    "random_feature gated": {"gated": True},
    "slot": {},
    "sab": {},
    "isab": {},
    "pma": {"num_seeds": 3},
    "perceiver": {},
}


@pytest.mark.parametrize("case", MASKED)
@torch.no_grad()
def test_absent_tokens_anywhere_are_as_if_they_were_not_there(case: str) -> None:
    module = build(case.split()[0], **MASKED[case])
    x, mask = randn(2, 21, 32), torch.rand(21, generator=torch.Generator().manual_seed(3)) < 0.6
    expected = module(x[:, mask])
    found = module(x.masked_fill(~mask[:, None], 50.0), mask.expand(2, -1))
    if found.shape[1] == 21:
        found = found[:, mask]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", MASKED)
def test_a_mask_is_checked(case: str) -> None:
    module, x = build(case.split()[0], **MASKED[case]), randn(2, 9, 32)
    for mask in (torch.ones(2, 9), torch.ones(2, 8, dtype=torch.bool)):
        with pytest.raises(UsageError, match="mask"):
            module(x, mask)


@pytest.mark.parametrize("case", MASKED)
def test_gradients_are_finite_where_a_sample_is_all_absent(case: str) -> None:
    module, x = build(case.split()[0], **MASKED[case]), randn(2, 9, 32).requires_grad_()
    module(x, torch.tensor([[True], [False]]).expand(2, 9)).square().sum().backward()
    assert x.grad is not None and bool(x.grad.isfinite().all())
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in module.parameters())


@pytest.mark.parametrize("case", ["clustered improved", "smyrf", "slot", "isab", "perceiver"])
@torch.no_grad()
def test_exports_for_any_batch(case: str) -> None:
    fewer = {"iterations": 2} if case.startswith("clustered") else {}
    module, x = build(case.split()[0], **MASKED[case], **fewer), randn(3, 20, 32)
    shapes = ({0: torch.export.Dim("batch", min=2, max=8)},)
    program = torch.export.export(module, (x,), dynamic_shapes=shapes).module()
    x = randn(2, 20, 32, seed=2)
    torch.testing.assert_close(program(x), module(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_multi_head_is_torchs_layer(bias: bool) -> None:
    theirs = nn.MultiheadAttention(32, 4, bias=bias, batch_first=True).eval()
    ours = build("multi_head", num_heads=4, qkv_bias=bias, bias=bias, cross=True)
    ours.qkv.weight.copy_(theirs.in_proj_weight)
    ours.proj.weight.copy_(theirs.out_proj.weight)
    if bias:
        ours.qkv.bias.copy_(theirs.in_proj_bias.normal_())
        ours.proj.bias.copy_(theirs.out_proj.bias.normal_())
    x, memory, mask = randn(2, 5, 32), randn(2, 7, 32, seed=2), torch.arange(7) < 4
    masks = {"key_padding_mask": ~mask.expand(2, 7)}
    expected, weights = theirs(x, memory, memory, average_attn_weights=False, **masks)
    torch.testing.assert_close(ours(x, mask.expand(2, 7), memory), expected)
    torch.testing.assert_close(ours.weights(x, mask.expand(2, 7), memory), weights)
    with pytest.raises(UsageError, match="memory"):
        ours(x)


@pytest.mark.parametrize(("key_dim", "value_dim"), [(20, 12), (20, 32), (32, 12)])
@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_multi_head_takes_memories_of_other_widths_as_torchs_layer(
    key_dim: int, value_dim: int, bias: bool
) -> None:
    theirs = nn.MultiheadAttention(
        32, 4, bias=bias, kdim=key_dim, vdim=value_dim, batch_first=True
    ).eval()
    options = {"key_dim": key_dim, "value_dim": value_dim, "qkv_bias": bias, "bias": bias}
    ours = build("multi_head", num_heads=4, **options)
    key_map = default_registry().attentions["multi_head"].provenance.key_map
    if bias:
        theirs.in_proj_bias.normal_()
        theirs.out_proj.bias.normal_()
    carry_over(map_keys(key_map, theirs.state_dict(), ours, "tests"), ours)
    x, keys, values = randn(2, 5, 32), randn(2, 7, key_dim, seed=2), randn(2, 7, value_dim, seed=3)
    mask = (torch.arange(7) < 4).expand(2, 7)
    expected, weights = theirs(x, keys, values, average_attn_weights=False, key_padding_mask=~mask)
    torch.testing.assert_close(ours(x, mask, keys, values), expected)
    torch.testing.assert_close(ours.weights(x, mask, keys, values), weights)
    for wrong in ({}, {"memory": keys[..., 1:], "values": values}, {"memory": keys[..., :9]}):
        with pytest.raises(UsageError):
            ours(x, **wrong)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("multi_head", {}),
        ("talking_heads", {}),
        ("smyrf", {"q_cluster_size": 32, "k_cluster_size": 32}),
        ("smyrf", {"q_cluster_size": 21, "k_cluster_size": 21, "n_hashes": 1}),
        ("clustered", {"improved": True, "topk": 32, "num_clusters": 3}),
    ],
)
@torch.no_grad()
def test_is_softmax_attention_at_the_limit(name: str, options: dict[str, Any]) -> None:
    """Clusters that hold all tokens, top keys that are all keys, heads that are not mixed."""
    attention = Attention(32, 4, qkv_bias=True).eval()
    module = build(name, num_heads=4, **options)
    module.take_over(attention)
    x = randn(2, 21, 32)
    torch.testing.assert_close(module(x), attention(x), rtol=1e-4, atol=1e-5)


def test_take_over_says_whether_it_is_exact() -> None:
    plain, normed = Attention(32, 4), Attention(32, 4, qk_norm=True, norm_layer=nn.LayerNorm)
    assert build("multi_head", num_heads=4, qkv_bias=False).take_over(plain)
    assert build("multi_head", num_heads=4, qkv_bias=True).take_over(plain)
    assert not build("multi_head", num_heads=4).take_over(normed)
    assert not build("multi_head", num_heads=4, qk_norm=True).take_over(plain)
    assert build("multi_head", num_heads=4, qk_norm=True).take_over(normed)
    assert not build("smyrf", num_heads=4).take_over(plain)


@torch.no_grad()
def test_one_cluster_is_the_mean_querys_attention() -> None:
    module, x = build("clustered", num_clusters=1, num_heads=2), randn(2, 21, 32)
    q, k, v = module.project(x)
    mean = F.scaled_dot_product_attention(q.mean(2, keepdim=True), k, v)
    torch.testing.assert_close(module(x), module.merge(mean.expand_as(v)))


@torch.no_grad()
def test_clusters_by_plain_loops() -> None:
    """k-means on bits, one point and one centroid at a time."""
    random = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 2, (3, 40, 9), generator=random) * 2.0 - 1
    present = torch.arange(40) < torch.tensor([[40], [25], [31]])
    start = torch.tensor([[0, 7, 30, 12]]).expand(3, -1)
    found = cluster(codes, present, start, 4)
    for group in range(3):
        points = [
            p.tolist() for p, there in zip(codes[group], present[group], strict=True) if there
        ]
        centroids = [codes[group, i].tolist() for i in start[group]]
        mine: list[int] = []
        for step in range(4):
            apart = [
                [sum(a != b for a, b in zip(p, c, strict=True)) for c in centroids] for p in points
            ]
            mine = [row.index(min(row)) for row in apart]
            for c in range(4) if step < 3 else ():
                members = [p for p, m in zip(points, mine, strict=True) if m == c]
                if members:
                    ones = [sum(bit > 0 for bit in column) for column in zip(*members, strict=True)]
                    centroids[c] = [1.0 if 2 * n > len(members) else -1.0 for n in ones]
        assert found[group, : len(mine)].tolist() == mine
        assert (found[group, len(mine) :] == 4).all()
    x = randn(3, 40, 5)
    for group in range(3):
        for c in range(4):
            members = found[group] == c
            assert counts(found, 4)[group, c] == members.sum()
            torch.testing.assert_close(sums(x, found, 4)[group, c], x[group, members].sum(0))


def test_first_centroids_are_spread_over_what_is_present() -> None:
    present = torch.tensor([[True] * 12, [False, True] * 6, [False] * 12])
    found = spread_positions(present, torch.full((3,), 0.5))
    assert found[:2].tolist() == [[2, 6, 10], [3, 7, 11]]
    assert int(found.max()) < 12


@torch.no_grad()
def test_smyrf_by_plain_loops() -> None:
    """Each round: sort by one projection, attend within a chunk; rounds weighed by normaliser."""
    module: Any = zoo.create_attention("smyrf", q_cluster_size=3, k_cluster_size=6, n_hashes=2)
    q, k, v, alpha = (randn(*s, seed=i) for i, s in enumerate(((9, 4), (18, 4), (18, 5), (6, 2))))
    total = q.norm(dim=1).max() ** 2 + k.norm(dim=1).max() ** 2
    mapped_q = torch.cat((q, torch.zeros(9, 1), (total - q.square().sum(1)).sqrt()[:, None]), 1)
    mapped_k = torch.cat((k, (total - k.square().sum(1)).sqrt()[:, None], torch.zeros(18, 1)), 1)
    rounds, norms = torch.zeros(2, 9, 5), torch.zeros(2, 9)
    for r in range(2):
        orders = (mapped_q @ alpha[:, r]).argsort(), (mapped_k @ alpha[:, r]).argsort()
        for queries, keys in zip(orders[0].split(3), orders[1].split(6), strict=True):
            logits = q[queries] @ k[keys].T / 2.0
            rounds[r, queries], norms[r, queries] = logits.softmax(1) @ v[keys], logits.logsumexp(1)
    expected = (rounds * norms.softmax(0)[:, :, None]).sum(0)
    found = module.attend(q[None], k[None], v[None], alpha)[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(OptionError, match="clusters"):
        module.attend(q[None], q[None], q[None], alpha)


@pytest.mark.parametrize("length", [1, 63, 64, 65, 130])
@pytest.mark.parametrize("gated", [False, True])
def test_causal_sums_are_the_recurrence(length: int, gated: bool) -> None:
    q, k, v = (randn(2, 3, length, d, seed=d).double() for d in (4, 4, 5))
    v = v[..., :5]
    keep = F.logsigmoid(randn(2, 3, length, seed=9).double() * 4) if gated else None
    state, expected = torch.zeros(2, 3, 4, 5, dtype=torch.float64), []
    for t in range(length):
        kept = 1.0 if keep is None else keep[:, :, t, None, None].exp()
        state = kept * state + k[:, :, t, :, None] * v[:, :, t, None, :]
        expected.append((q[:, :, t, None, :] @ state).squeeze(2))
    torch.testing.assert_close(causal_sums(q, k, v, keep), torch.stack(expected, 2))


@torch.no_grad()
def test_a_closed_gate_forgets_and_an_open_one_never_learns() -> None:
    module = build("random_feature", gated=True, num_heads=2)
    module.gate.weight.zero_()
    x = randn(2, 9, 32)
    v = module.v_proj(x)
    module.gate.bias.fill_(-200.0)
    torch.testing.assert_close(module(x), module.out_proj(v), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_random_features_estimate_softmax_attention() -> None:
    """The error falls as features are added, and is small with many."""
    x = randn(2, 30, 16)
    unit = F.normalize(randn(1, 1, 30, 16, seed=5), dim=3)
    expected = F.scaled_dot_product_attention(unit, unit, x[:1, None], scale=1.0)
    errors = []
    for features in (16, 256, 4096):
        module = build("random_feature", 16, num_heads=1, proj_dim=features, norm_eps=0.0)
        found = module.attend(unit, unit, x[:1, None], module.random_matrices)
        errors.append(float((found - expected).norm() / expected.norm()))
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.05


@torch.no_grad()
def test_causal_tokens_do_not_see_what_comes() -> None:
    for options in ({"causal": True}, {"gated": True}):
        module, x = build("random_feature", **options), randn(1, 80, 32)
        changed = x.clone()
        changed[:, 70:] += 1
        torch.testing.assert_close(module(changed)[:, :70], module(x)[:, :70])
        assert not torch.allclose(module(changed)[:, 70:], module(x)[:, 70:])


@torch.no_grad()
def test_emsa_without_reduction_and_transform_is_multi_head() -> None:
    options = {"num_heads": 4, "reduction": 1, "apply_transform": False}
    module, other = build("emsa", feat_size=(3, 5), **options), build("multi_head", num_heads=4)
    attention, x = Attention(32, 4, qkv_bias=True), randn(2, 15, 32)
    module.take_over(attention)
    other.take_over(attention)
    torch.testing.assert_close(module(x), other(x))
    with pytest.raises(OptionError, match="feat_size"):
        module(x[:, :14])


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 4)])
@pytest.mark.parametrize("reduction", [1, 2, 3])
def test_emsa_takes_any_size_of_map(size: tuple[int, int], reduction: int) -> None:
    if (size, reduction) == ((1, 1), 3):
        with pytest.raises(OptionError, match="reduction"):
            build("emsa", feat_size=size, reduction=reduction)
        return
    module, x = build("emsa", feat_size=size, reduction=reduction), randn(2, size[0] * size[1], 32)
    assert bool(module.train()(x).isfinite().all())


@pytest.mark.parametrize("normalization", ["softmax", "scaling"])
@torch.no_grad()
def test_efficient_on_tokens_is_efficient_on_a_map(normalization: Any) -> None:
    from zoo_plugins.mechanisms.self_attention.efficient import EfficientAttention

    torch.manual_seed(0)
    tokens = EfficientAttention.token_mixer(32, num_heads=4, normalization=normalization).eval()
    on_map = build(
        "efficient", num_heads=4, key_channels=32, residual=False, normalization=normalization
    )
    on_map.load_state_dict(tokens.state_dict())
    x = randn(2, 32, 3, 5)
    expected = on_map(x).flatten(2).transpose(1, 2)
    x = x.flatten(2).transpose(1, 2)
    torch.testing.assert_close(tokens(x), expected)
    mask = torch.tensor([True, False, True] * 5)
    padded = x.masked_fill(~mask[:, None], 9.0)
    found = tokens(padded, mask.expand(2, -1))[:, mask]
    torch.testing.assert_close(found, tokens(x[:, mask]))


@pytest.mark.parametrize("name", ["clustered", "smyrf", "random_feature"])
@torch.no_grad()
def test_draws_are_new_in_training_and_fixed_by_the_seed_in_eval(name: str) -> None:
    small = {"clustered": {"num_clusters": 4}, "smyrf": {"q_cluster_size": 5, "k_cluster_size": 5}}
    options = {"num_heads": 2, **small.get(name, {})}
    x = randn(2, 40, 32)
    module, same = build(name, **options), build(name, **options)
    assert torch.equal(module(x), same(x))
    assert not torch.allclose(module(x), build(name, seed=1, **options)(x))
    first, second = (module.train()(x) for _ in range(2))
    assert not torch.allclose(first, second)


def test_where_the_mass_of_the_top_keys_has_a_gradient() -> None:
    """The values are the same; the gradient of the keys is not."""
    grads = []
    for flag in (False, True):
        options = {"improved": True, "topk": 3, "num_clusters": 3, "mass_gradient": flag}
        x = randn(1, 12, 32).requires_grad_()
        y = build("clustered", **options)(x)
        y.square().sum().backward()
        grads.append((y.detach(), x.grad))
    torch.testing.assert_close(grads[0][0], grads[1][0])
    assert grads[0][1] is not None and grads[1][1] is not None
    assert not torch.allclose(grads[0][1], grads[1][1])


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("multi_head", {"num_heads": 5}, "divisible"),
        ("clustered", {"softmax_temp": -1.0}, "softmax_temp"),
        ("clustered", {"dropout": 2}, "dropout"),
        ("smyrf", {"clustering": "kmeans"}, "clustering"),
        ("random_feature", {"normalizer": "softly"}, "normalizer"),
        ("random_feature", {"normalizer": "clamp_min -1"}, "normalizer"),
        ("random_feature", {"feature_scale": "half"}, "feature_scale"),
        ("random_feature", {"gated": True, "causal": False}, "gated"),
        ("emsa", {"feat_size": (4, 4), "bias": False}, "bias"),
    ],
)
def test_options_that_cannot_be(name: str, options: dict[str, Any], word: str) -> None:
    with pytest.raises(OptionError, match=word):
        build(name, **options)


def test_without_projections_a_mixer_needs_the_width_of_a_head() -> None:
    for name in ("clustered", "random_feature"):
        with pytest.raises(OptionError, match="head_dim"):
            zoo.create_attention(name)
    x = randn(2, 8, 12)
    for name in ("clustered", "smyrf"):
        module = zoo.create_attention(name, num_heads=2, head_dim=6).eval()
        assert not list(module.parameters())
        assert module(x).shape == x.shape
