"""The glimpse sensor against a naive crop: pad the image, slice each sample, pool."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo_plugins.mechanisms.hard.glimpse import GlimpseSensor
from zoo_plugins.mechanisms.hard.retina import extract_glimpse, integral_image, locate, patch_sides

import zoo
from zoo.errors import OptionError, UsageError


def naive(image: torch.Tensor, location: torch.Tensor, sides: tuple[int, ...]) -> torch.Tensor:
    height, width = image.shape[-2:]
    rows = []
    for sample, (lx, ly) in zip(image, location.tolist(), strict=True):
        x, y = int(0.5 * (lx + 1) * width), int(0.5 * (ly + 1) * height)
        patches = []
        for side in sides:
            half, far = side // 2, 4 * side + 200
            padded = F.pad(sample, (far, far, far, far))
            left, top = x - half + far, y - half + far
            patch = padded[:, top : top + side, left : left + side]
            patches.append(F.adaptive_avg_pool2d(patch, sides[0]).flatten())
        rows.append(torch.cat(patches))
    return torch.stack(rows)


sizes = st.integers(1, 33)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(sizes, sizes),
    channels=st.integers(1, 3),
    patch=st.integers(1, 9),
    num_patches=st.integers(1, 3),
    scale=st.sampled_from([1, 1.5, 2, 3]),
    seed=st.integers(0, 2**16),
)
def test_extraction_is_the_naive_crop(size, channels, patch, num_patches, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(4, channels, *size, generator=generator, dtype=torch.float64)
    # Eighths are exact, so that both sides round the same; some locations are off the image.
    location = torch.randint(-11, 12, (4, 2), generator=generator).double() / 8
    image.requires_grad_()
    sides = patch_sides(patch, num_patches, scale)
    expected = naive(image, location, sides)
    weight = torch.rand(expected.shape, generator=generator, dtype=torch.float64)
    wanted = torch.autograd.grad((expected * weight).sum(), image)[0]
    for integral in (None, integral_image(image, (1, 1000), 1)):
        found = extract_glimpse(image, location, sides, integral)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(torch.autograd.grad((found * weight).sum(), image)[0], wanted)


def test_running_sums_are_made_where_the_crops_cost_more():
    assert integral_image(torch.rand(2, 1, 100, 100), (12, 24, 48, 96), 8) is not None
    assert integral_image(torch.rand(2, 1, 1000, 1000), (12, 24, 48), 8) is None
    assert integral_image(torch.rand(2, 1, 28, 28), (8,), 6) is None  # nothing to average


def test_several_episodes_share_one_image_batch():
    image, location = torch.rand(3, 2, 20, 24), torch.rand(5, 3, 2) * 2 - 1
    sides = patch_sides(4, 2, 2)
    together = extract_glimpse(image, location, sides)
    assert together.shape == (5, 3, 2 * 2 * 16)
    for k in range(5):
        assert torch.equal(together[k], extract_glimpse(image, location[k], sides))


def test_locations_are_x_then_y_of_a_wide_image():
    corner = locate(torch.tensor([[-1.0, -1.0], [1.0, 1.0], [0.0, 0.5]]), (8, 16))
    assert corner.tolist() == [[0, 0], [16, 8], [8, 6]]


def test_location_has_a_gradient_through_the_where_branch_only():
    sensor = GlimpseSensor(1, patch_size=4, glimpse_hidden=8, location_hidden=8)
    location = torch.zeros(2, 2, requires_grad=True)
    sensor(torch.rand(2, 1, 12, 12), location).sum().backward()
    assert location.grad is not None and location.grad.abs().sum() > 0
    pixels = sensor.retina(torch.rand(2, 1, 12, 12), location)
    assert not pixels.requires_grad


@pytest.mark.parametrize(
    ("location", "named"),
    [
        (torch.full((2, 2), float("nan")), "nan"),
        (torch.full((2, 2), 1.5), "1.5"),
        (torch.zeros(2, 3), r"\(2, 3\)"),
        (torch.zeros(3, 2), r"\(3, 2\)"),
        (torch.zeros(2), r"\(2,\)"),
    ],
)
def test_places_that_are_none_are_refused(location, named):
    with pytest.raises(UsageError, match=named):
        GlimpseSensor(1)(torch.rand(2, 1, 28, 28), location)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"out_dim": 100}, "out_dim"),
        ({"padding": "reflect"}, "padding"),
        ({"resize": "bilinear"}, "resize"),
        ({"patch_size": 0}, "patch_size"),
        ({"scale": 0.5}, "scale"),
        ({"scale": float("nan")}, "scale"),
        ({"num_patches": 60}, "num_patches"),
        ({"channels": 0}, "channels"),
    ],
)
def test_impossible_options_are_named(options, named):
    with pytest.raises(OptionError, match=named):
        zoo.create_attention("glimpse_sensor", **options)
