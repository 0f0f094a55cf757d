"""Channel and spatial attention: what the reference cases do not reach."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from zoo_plugins.mechanisms.channel.fca import dct_image
from zoo_plugins.mechanisms.channel.soca import covariance_pool
from zoo_plugins.mechanisms.spatial.neighbourhood import neighbours, weighted_sum

import zoo
from zoo.errors import OptionError


def square_root_rows(x: Tensor) -> Tensor:
    """Mean row of the covariance's exact square root."""
    found = []
    for each in x.flatten(2):
        values, vectors = torch.linalg.eigh(torch.cov(each, correction=0))
        root = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.t()
        found.append(root.mean(0))
    return torch.stack(found)


@pytest.mark.parametrize("shape", [(2, 6, 5, 5), (2, 40, 3, 4), (1, 9, 3, 3)])
def test_soca_converges_to_the_square_root_on_either_side(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(covariance_pool(x, 30), square_root_rows(x), rtol=1e-6, atol=1e-8)


def test_soca_is_finite_where_nothing_varies() -> None:
    x = torch.ones(2, 16, 1, 1, requires_grad=True)
    y = zoo.create_attention("soca", 16)(x)
    y.sum().backward()
    assert y.isfinite().all() and x.grad is not None and x.grad.isfinite().all()


@pytest.mark.parametrize("name", ["sge", "soca", "dual_attention_channel"])
def test_gradients_are_finite_on_a_constant_map(name: str) -> None:
    x = torch.full((1, 16, 3, 3), 2.0, requires_grad=True)
    zoo.create_attention(name, 16)(x).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


@pytest.mark.parametrize(("kernel_size", "dilation"), [(3, 1), (3, 4), (7, 2), (5, 9)])
def test_neighbourhoods_are_those_of_unfold(kernel_size: int, dilation: int) -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 5, 8, generator=random)
    weights = torch.randn(2, kernel_size**2, 5, 8, generator=random)
    expected = F.unfold(x, kernel_size, dilation, dilation * (kernel_size // 2))
    expected = expected.unflatten(1, (3, -1))
    torch.testing.assert_close(neighbours(x, kernel_size, dilation), expected)
    total = (expected * weights.flatten(2)[:, None]).sum(2).view(x.shape)
    torch.testing.assert_close(weighted_sum(x, weights, kernel_size, dilation), total)


def test_dct_images_are_orthonormal() -> None:
    size = (7, 14)
    images = [dct_image(size, (u, v)).flatten() for u in range(7) for v in range(14)]
    products = torch.stack(images) @ torch.stack(images).t()
    torch.testing.assert_close(products, torch.eye(98, dtype=torch.float64))


def test_fca_of_one_frequency_squeezes_as_a_mean() -> None:
    fca = zoo.create_attention("fca", 32, freq_sel_method="top1", dct_size=7)
    x = torch.randn(2, 32, 7, 7)
    weights = fca.fc2.weight @ F.relu(fca.fc1.weight @ (x.mean((2, 3)).t() * 7))
    torch.testing.assert_close(fca(x), x * torch.sigmoid(weights.t())[..., None, None])


@pytest.mark.parametrize("residual", [False, True])
def test_double_attention_is_its_equation(residual: bool) -> None:
    a2 = zoo.create_attention("double_attention", 12, c_m=5, c_n=4, residual=residual)
    x = torch.randn(2, 12, 3, 7)
    gathered = a2.phi(x).flatten(2) @ torch.softmax(a2.theta(x).flatten(2), 2).transpose(1, 2)
    z = gathered @ torch.softmax(a2.rho(x).flatten(2), 1)
    expected = a2.reconstruct(z.unflatten(2, (3, 7))) + (x if residual else 0)
    torch.testing.assert_close(a2(x), expected)


def test_psa_variants_order_the_scales() -> None:
    official = zoo.create_attention("psa", 16)
    paper = zoo.create_attention("psa", 16, variant="paper")
    paper.load_state_dict(official.state_dict())
    x = torch.randn(1, 16, 5, 5)
    scales = torch.cat(official(x).chunk(4, 1)[::-1], 1)
    torch.testing.assert_close(paper(x), scales)


def test_psa_keeps_the_norm_after_the_convolution_that_it_replaces() -> None:
    model = zoo.create_model("psa_resnet50", num_classes=3)
    assert isinstance(model.layer1[0].bn2, torch.nn.BatchNorm2d)
    assert isinstance(model.layer1[0].act2, torch.nn.ReLU)


@pytest.mark.parametrize("size", [(28, 28), (14, 6), (1, 1), (5, 9), (30, 2)])
def test_picanet_grid_spans_the_map(size: tuple[int, int]) -> None:
    module: Any = zoo.create_attention("picanet_global", 8, feat_size=size, hidden_channels=4)
    corner = module.attention(torch.randn(2, 8, *size)).shape[1]
    rows, columns = ((n - 1) // d + 1 for n, d in zip(size, module.spacing, strict=True))
    assert corner == rows * columns
    assert all((n - 1) % d == 0 for n, d in zip(size, module.spacing, strict=True))
    if size == (28, 28):
        assert (rows, columns) == (10, 10)


def test_dual_attention_channel_paper_prefers_the_similar() -> None:
    x = torch.zeros(1, 2, 1, 2)
    x[0, 0, 0, 0] = x[0, 1, 0, 1] = 3.0  # two planes that have nothing in common
    found = {}
    for variant in ("official", "paper"):
        module: Any = zoo.create_attention("dual_attention_channel", 2, variant=variant)
        torch.nn.init.ones_(module.gamma)
        found[variant] = module(x)[0, 0, 0]
    own = 1 / (1 + math.exp(-9))
    torch.testing.assert_close(found["paper"], torch.tensor([3 + 3 * own, 3 * (1 - own)]))
    torch.testing.assert_close(found["official"], torch.tensor([3 + 3 * (1 - own), 3 * own]))


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("ceca", {"kernel_size": 4}),
    ("ceca", {"kernel_size": 131}),
    ("effective_se", {"gate": "tanh"}),
    ("soca", {"iters": 0}),
    ("soca", {"reduction": 8, "reduced_channels": 9}),
    ("fca", {"freq_sel_method": "top3"}),
    ("fca", {"freq_sel_method": "top2", "freq_indices": [[0, 0], [1, 1]]}),
    ("fca", {"freq_indices": [[0, 9]], "dct_size": 7}),
    ("fca", {"freq_indices": [[0, 0], [0, 1], [1, 0]]}),
    ("fca", {"dct_size": {"32": 7}}),
    ("double_attention", {"c_m": 0}),
    ("double_attention", {"residual": True, "reconstruct": False}),
    ("dual_attention_channel", {"variant": "timm"}),
    ("dual_attention_position", {"reduction": 8, "query_channels": 9}),
    ("hoga", {"num_groups": 3}),
    ("hoga", {"num_groups": 4, "order": 2}),
    ("hoga", {"genotype": [["SE", 0]]}),
    ("hoga", {"num_groups": 1, "genotype": [["SE", 1]]}),
    ("gather_excite", {"variant": "theta"}),
    ("gather_excite", {"variant": "theta", "extent": 3}),
    ("psa", {"num_scales": 3, "kernel_size": [3, 5]}),
    ("psa", {"groups": [1, 4, 8, 32]}),
    ("psa", {"kernel_size": [3, 4]}),
    ("parnet", {"activation": "tanh"}),
    ("picanet_global", {"feat_size": (10, 10), "kernel_size": 4, "dilation": 2}),
    ("picanet_global", {"feat_size": (10, 10), "input_size": (9, 9)}),
    ("picanet_local", {"padding": 5}),
    ("span", {"dilations": []}),
    ("span", {"kernel_size": 2}),
    ("spatial_spectral", {}),
    ("spatial_spectral", {"feat_size": (16, 16), "mode": [0, 2]}),
    ("sge", {"groups": 7}),
]


@pytest.mark.parametrize(("name", "options"), WRONG)
def test_impossible_options_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=name):
        zoo.create_attention(name, 64, **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gather_excite", {"variant": "theta"}),
        ("picanet_global", {}),
        ("spatial_spectral", {}),
    ],
)
def test_another_map_size_is_refused(name: str, options: dict[str, Any]) -> None:
    module = zoo.create_attention(name, 8, feat_size=(4, 5), **options).eval()
    with pytest.raises(OptionError, match="5 x 4"):
        module(torch.randn(1, 8, 5, 4))


@pytest.mark.parametrize(("options", "size"), [({"dilation": 2}, 8), ({"padding": 0}, 5)])
def test_an_even_kernel_of_split_attention_keeps_the_size_or_says_what_it_pads(
    options: dict[str, int], size: int
) -> None:
    with pytest.raises(OptionError, match="kernel_size=4 does not keep the size"):
        zoo.create_attention("split_attention", 16, kernel_size=4)
    module = zoo.create_attention("split_attention", 16, kernel_size=4, **options).eval()
    assert module(torch.rand(1, 16, 8, 8)).shape == (1, 16, size, size)
