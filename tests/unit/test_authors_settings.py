"""Settings of the authors' code that mechanisms take beside their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.models.swin_transformer import WindowAttention

import zoo
from zoo.errors import OptionError
from zoo.registry import default_registry
from zoo.registry.options import normalise
from zoo.registry.targets import resolve


def test_window_takes_a_mask_of_each_window() -> None:
    module = zoo.create_attention("window", 8, num_heads=2, window_size=2).eval()
    x = torch.randn(3, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.rand(4, 4, 4, generator=torch.Generator().manual_seed(1)) > 0.4
    mask |= torch.eye(4, dtype=torch.bool)
    windows = x.unfold(2, 2, 2).unfold(3, 2, 2).permute(0, 2, 3, 4, 5, 1).reshape(-1, 4, 8)
    added = torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)
    with torch.no_grad():
        expected = WindowAttention.forward(module, windows, added)
        for given in (mask, added):
            y = module(x, mask=given).unfold(2, 2, 2).unfold(3, 2, 2)
            torch.testing.assert_close(y.permute(0, 2, 3, 4, 5, 1).reshape(-1, 4, 8), expected)


def test_timm_rounds_the_width_that_a_reduction_gives() -> None:
    module = zoo.create_attention("non_local", 36, variant="timm", reduction=4, reduced_channels=16)
    assert module.t.out_channels == 16


@pytest.mark.parametrize(
    ("name", "authors", "own"),
    [
        ("stand_alone", {"groups": 2, "dilation": 2}, {"num_heads": 2}),
        ("stand_alone", {"in_channels": 8, "groups": 3}, {}),
        ("halo", {"groups": 3, "dilation": 2}, {}),
        (
            "axial",
            {"kernel_size": 4, "groups": 2, "planes": 8},
            {"feat_size": 4, "num_heads": 2, "out_channels": 16},
        ),
        ("lambda_layer", {"position": "conv", "receptive_field": None}, {"receptive_field": 9}),
        (
            "lambda_layer",
            {"position": "embedding", "feat_size": 4},
            {"receptive_field": None, "feat_size": [4, 4]},
        ),
        ("random_feature", {"normalizer": "abs"}, {"least": 0}),
        ("random_feature", {"normalizer": "clamp_min 0.5"}, {"absolute": False, "least": 0.5}),
        ("random_feature", {"feature_scale": "1/sqrt(proj_dim)"}, {}),
        ("random_feature", {"normalizer": "abs, clamp 1e-3"}, {}),
        ("bat", {"rd_ratio": 0.5}, {"reduced_channels": 8}),
        ("non_local", {"variant": "timm"}, {"variant": "timm", "rd_channels": 8}),
        ("multi_head", {"variant": "torch", "kdim": 4}, {"key_dim": 4}),
    ],
)
def test_settings_of_authors_mean_the_same_module(
    name: str, authors: dict[str, Any], own: dict[str, Any]
) -> None:
    built = []
    for options in (authors, own):
        torch.manual_seed(0)
        built.append(zoo.create_attention(name, 8 if name != "axial" else 16, **options))
    first, second = (module.state_dict() for module in built)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    plain = [
        {k: v for k, v in vars(module).items() if isinstance(v, bool | int | float | tuple)}
        for module in built
    ]
    assert plain[0] == plain[1]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("stand_alone", {"groups": 2, "num_heads": 4}, ["groups=2", "num_heads=4"]),
        ("axial", {"feat_size": 4, "planes": 8, "out_channels": 8}, ["planes=8"]),
        ("lambda_layer", {"position": "relative", "receptive_field": 3}, ["receptive_field=None"]),
        ("non_local", {"variant": "timm", "reduction": 4, "rd_ratio": 0.5}, ["rd_ratio=0.5"]),
        ("halo", {"groups": 1, "stride": 3}, ["stride=3"]),
    ],
)
def test_settings_of_authors_that_cannot_be(
    name: str, options: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(OptionError) as refused:
        zoo.create_attention(name, 16, **options)
    assert all(word in str(refused.value) for word in words)


def test_draws_of_variational_have_their_ratio() -> None:
    module = zoo.create_attention("variational", 6, mode="wsram", num_samples=2)
    scores = torch.randn(2, 1, 5)
    found = module.attend(torch.randn(2, 1, 6), torch.randn(2, 5, 6), inference_scores=scores)
    torch.testing.assert_close(found.log_p_over_q, found.log_prior - found.log_prob)


def test_the_authors_ellipse() -> None:
    """mu from entries 0 and 2, widths from 2 and 3, r half of a sigmoid."""
    module = zoo.create_attention(
        "gaussian", 4, feat_size=3, correlated=True, theta="code", lamda=0.5
    ).eval()
    x = torch.randn(1, 4, 3, 3, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        flat = torch.relu(module.att_conv(x)).flatten(1)
        t = module.theta[0](flat).sigmoid()[0]
        r = module.ro[0](flat).sigmoid()[0, 0] / 2
        rows, columns = torch.meshgrid(*[torch.linspace(0, 1, 3)] * 2, indexing="ij")
        u, v = (rows - t[0]) / (t[2] + 1e-5), (columns - t[2]) / (t[3] + 1e-5)
        expected = torch.exp(-(u**2 - 2 * r * u * v + v**2) / (2 * 0.5 * (1 - r**2)))
        torch.testing.assert_close(module.attention(x)[0, 0], expected)


READ: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("adl", {"keep_prob": 0.7, "drop_threshold": 0.9}, {"drop_rate": 0.3, "gamma": 0.9}),
    ("adl", {"keep_prob": 0.25, "drop_rate": 0.75}, {"drop_rate": 0.75}),
    ("bayesian_attention", {"prior": "constant"}, {"prior": "fixed"}),
    ("gaussian", {"height": 5, "width": 4}, {"feat_size": (5, 4)}),
    ("gaussian", {"height": 5, "width": 4, "feat_size": [5, 4]}, {"feat_size": (5, 4)}),
    ("inverse", {"height": 8, "width": 8}, {}),
    ("picanet_local", {"padding": 6}, {}),
    ("picanet_local", {"padding": 3, "kernel_size": 7, "dilation": 1}, {"dilation": 1}),
    ("region", {"activation": "leaky_relu_0.2"}, {"negative_slope": 0.2}),
    ("region", {"activation": "relu"}, {"negative_slope": 0.0}),
    ("region", {"activation": "identity", "num_classes": 3}, {"negative_slope": 1.0}),
    ("span", {"batch_norm": False}, {}),
    ("spatial_transformer", {"input_size": 28}, {"feat_size": 28}),
    ("variational", {"mode": "exact"}, {"mode": "enum"}),
    ("variational", {"mode": "wsram"}, {"mode": "sample"}),
]

CONTRADICTIONS: list[tuple[str, dict[str, Any]]] = [
    ("adl", {"keep_prob": 0.3, "drop_rate": 0.3}),
    ("adl", {"keep_prob": True}),
    ("adl", {"keep_prob": 1.5}),
    ("bayesian_attention", {"prior": "none"}),
    ("gaussian", {"height": 5}),
    ("gaussian", {"height": 5, "width": 4, "feat_size": 5}),
    ("picanet_local", {"padding": 5}),
    ("picanet_local", {"padding": 6, "kernel_size": "7"}),
    ("region", {"activation": "gelu"}),
    ("region", {"activation": ["relu"]}),
    ("region", {"activation": "relu", "negative_slope": 0.1}),
    ("span", {"batch_norm": True}),
    ("spatial_transformer", {"input_size": 28, "feat_size": 14}),
    ("variational", {"mode": ["enum"]}),
]


def _read(name: str, given: dict[str, Any]) -> dict[str, Any]:
    spec = default_registry().attentions[name]
    return normalise(spec, resolve(spec.target, ""), 16, given)


@pytest.mark.parametrize(("name", "given", "own"), READ)
def test_a_setting_of_authors_code_is_an_option(
    name: str, given: dict[str, Any], own: dict[str, Any]
) -> None:
    found = _read(name, given)
    assert {k: found[k] for k in own} == own
    assert not (given.keys() - own.keys()) & (found.keys() - {"kernel_size"})


@pytest.mark.parametrize(("name", "given"), CONTRADICTIONS)
def test_a_setting_of_authors_code_that_cannot_be_is_refused(
    name: str, given: dict[str, Any]
) -> None:
    with pytest.raises(OptionError, match=name):
        _read(name, given)
