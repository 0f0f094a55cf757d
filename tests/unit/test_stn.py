"""Networks with spatial transformers: their transforms, sizes and interface."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from zoo_plugins.mechanisms.spatial_transformer.warp import TRANSFORMS, Warp

import zoo
from zoo.errors import OptionError, UsageError

SIZE = (9, 14)


def grid(warp: Warp, parameters: torch.Tensor) -> torch.Tensor:
    return warp._points(warp.basis, parameters).unflatten(1, warp.size)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_transform_starts_at_the_identity(transform: str, align_corners: bool) -> None:
    warp = Warp(SIZE, transform, align_corners=align_corners, dtype=torch.float64)
    x = torch.randn(2, 3, *SIZE, dtype=torch.float64)
    zero = torch.zeros(2, warp.num_parameters, dtype=torch.float64)
    torch.testing.assert_close(warp(x, zero), x)
    corners = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]], dtype=torch.float64)
    outline = warp.outline(zero)
    torch.testing.assert_close(outline[0, :: outline.shape[1] // 4], corners)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("transform", ["affine", "projective", "tps"])
def test_every_transform_contains_torch_s_affine_grid(transform: str, align_corners: bool) -> None:
    theta = torch.tensor([[[0.8, -0.3, 0.1], [0.2, 1.1, -0.4]]], dtype=torch.float64)
    warp = Warp(SIZE, transform, align_corners=align_corners, dtype=torch.float64)
    parameters = theta.flatten(1)
    if transform == "projective":
        parameters = F.pad(parameters, (0, 2))
    if transform == "tps":  # the control points go where the affine map takes them
        points = warp.identity.view(-1, 2)
        parameters = (points @ theta[0, :, :2].T + theta[0, :, 2]).reshape(1, -1)
    expected = F.affine_grid(theta, [1, 1, *SIZE], align_corners=align_corners)
    torch.testing.assert_close(grid(warp, parameters - warp.identity), expected)


def test_a_spline_takes_its_control_points_where_it_is_told() -> None:
    warp = Warp((4, 4), "tps", align_corners=True, dtype=torch.float64)  # pixels are the points
    there = torch.rand(3, 16, 2, dtype=torch.float64) * 2 - 1
    found = grid(warp, there.flatten(1) - warp.identity).flatten(1, 2)
    torch.testing.assert_close(found, there)


def test_a_projective_transform_divides_by_depth() -> None:
    warp = Warp((2, 2), "projective", align_corners=True, dtype=torch.float64)
    tilt = torch.tensor([[0.0, 0, 0, 0, 0, 0, 0.25, 0.0]], dtype=torch.float64)
    x = grid(warp, tilt)[0, 0, :, 0]  # of (-1, -1) and (1, -1)
    torch.testing.assert_close(x, torch.tensor([-1 / 0.75, 1 / 1.25], dtype=torch.float64))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"transform": "tps", "control_points": 3},
        {"transform": "projective", "network": "fcn", "img_size": 42, "downsample": 2},
        {"img_size": (42, 42), "downsample": 2},
        {"transform": "none", "network": "fcn", "in_chans": 3, "num_classes": 4},
        {"img_size": (30, 45), "align_corners": True},
    ],
)
def test_every_form_classifies_and_learns(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model: Any = zoo.create_model("stn_mnist", **options)
    x = torch.rand(2, model.in_chans, *model.image_size)
    assert model(x).shape == (2, model.num_classes)
    assert torch.equal(model.forward_head(model.forward_features(x)), model(x))
    if options.get("transform") != "none":
        torch.testing.assert_close(model.transformed(x), x, atol=1e-5, rtol=1e-5)
        torch.nn.init.normal_(model.transformer.localisation.last.weight)
        assert (model.transformed(x) - x).abs().max() > 1e-2
    model(x).square().sum().backward()
    dead = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_the_network_has_the_paper_s_size() -> None:
    count = sum(p.numel() for p in zoo.create_model("stn_mnist").parameters())
    assert 180_000 < count < 230_000  # "about 200,000"


def test_the_transformer_learns_to_undo_a_translation() -> None:
    torch.manual_seed(0)
    transformer: Any = zoo.create_model("stn_mnist", transform="attention").transformer
    optimizer = torch.optim.Adam(transformer.parameters(), 3e-3)
    blob = torch.exp(-torch.linspace(-3, 3, 28).square())
    centred = (blob[:, None] * blob).expand(64, 1, 28, 28)
    x = torch.stack([centred[0].roll(int(s), 2) for s in torch.randint(-5, 6, (64,))])
    before = F.mse_loss(x, centred)
    for _ in range(80):
        loss = F.mse_loss(transformer(x), centred)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.detach() < 0.2 * before
    middle = transformer.outline(x).detach().mean(1)
    assert middle[:, 0].abs().max() > 0.2 and middle[:, 1].abs().max() < 0.15


@pytest.mark.parametrize(
    "wrong",
    [
        {"transform": "rigid"},
        {"network": "rnn"},
        {"image_size": 20},
        {"img_size": 42, "image_size": 28},
        {"widths": 64},
        {"downsample": 9},
        {"transform": "tps", "control_points": 1},
        {"localisation_scale": 0},
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        zoo.create_model("stn_mnist", **wrong)


@pytest.mark.parametrize("shape", [(1, 1, 27, 28), (1, 3, 28, 28), (1, 28, 28)])
def test_an_image_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="28, 28"):
        zoo.create_model("stn_mnist")(torch.rand(shape))


@pytest.mark.parametrize("transformers", [0, 1, 4])
def test_house_numbers_are_read_through_their_transformers(transformers: int) -> None:
    torch.manual_seed(0)
    model: Any = zoo.create_model(
        "stn_svhn", transformers=transformers, img_size=32, widths=(4,) * 8, fc=(8, 8),
        localisation_scale=1.0,
    ).eval()  # fmt: skip
    x = torch.rand(2, 3, 32, 32)
    assert model(x).shape == (2, 55)
    assert model.sequence(x).shape == (2, 5, 11)
    outlines = model.outlines(x)
    corners = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    torch.testing.assert_close(outlines, corners.expand(transformers, 2, 4, 2))
    model(x).square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_outlines_of_nested_transformers_are_those_of_the_image() -> None:
    model: Any = zoo.create_model(
        "stn_svhn_multi", img_size=32, widths=(4,) * 8, fc=(8, 8), localisation_scale=1.0
    )
    for index in (0, 2):  # the first shrinks by half, the second moves by half to the right
        change = {0: (-0.5, 0, 0, 0, -0.5, 0), 2: (0, 0, 0.5, 0, 0, 0)}[index]
        model.features[index].localisation.last.bias.data = torch.tensor(change, dtype=torch.float)
    outlines = model.outlines(torch.rand(1, 3, 32, 32))
    half = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    torch.testing.assert_close(outlines[0, 0], half)
    torch.testing.assert_close(outlines[1, 0], half + torch.tensor([0.25, 0.0]))


def test_the_paper_s_network_for_house_numbers() -> None:
    model: Any = zoo.create_model("stn_svhn")
    assert model.hidden[1].in_features == 192 * 4 * 4
    assert [c["reduction"] for c in model.feature_info] == [2, 2, 4, 4, 8, 8, 16, 16]
