"""Distortions of a batch, read off images whose pixels say where they are."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.feeding.augment import augment
from zoo.recipes import Augment

COUNT, HEIGHT, WIDTH = 400, 24, 36


def seen(height: int = HEIGHT, width: int = WIDTH, **limits: float) -> tuple[Tensor, Tensor]:
    """(x, y) of each pixel in the middle, from -1 to 1, and what each image has there, (B, N, 2).

    The middle third is never filled from outside by what is tried here.
    """
    torch.manual_seed(0)
    ys, xs = ((torch.arange(n) * 2 + 1) / n - 1 for n in (height, width))
    there = torch.stack(torch.meshgrid(xs, ys, indexing="xy")).double()
    found = augment(there.repeat(COUNT, 1, 1, 1), Augment(**limits))  # type: ignore[arg-type]
    middle = (..., slice(height // 3, -height // 3), slice(width // 3, -width // 3))
    return there[middle].flatten(1).T, found[middle].flatten(2).transpose(1, 2)


def matrices(height: int = HEIGHT, width: int = WIDTH, **limits: float) -> Tensor:
    """The affine map of each image, (B, 2, 3)."""
    there, found = seen(height, width, **limits)
    known = torch.cat([there, torch.ones(len(there), 1)], 1).expand(COUNT, -1, -1)
    fitted = torch.linalg.lstsq(known, found).solution
    assert (known @ fitted - found).abs().max() < 1e-6
    return fitted.transpose(1, 2)


def uniform(values: Tensor, limit: float) -> None:
    """As drawn evenly from -limit to limit."""
    assert values.abs().max() <= limit * (1 + 1e-6)
    assert values.max() > 0.95 * limit and values.min() < -0.95 * limit
    assert abs(float(values.std()) - limit / math.sqrt(3)) < 0.06 * limit


def independent(one: Tensor, other: Tensor) -> None:
    assert abs(float(torch.corrcoef(torch.stack([one, other]))[0, 1])) < 0.2


def test_a_rotation_turns_a_square_map() -> None:
    found = matrices(HEIGHT, HEIGHT, rotate=20.0)[:, :, :2]
    torch.testing.assert_close(
        found @ found.transpose(1, 2), torch.eye(2).double().expand_as(found), atol=1e-6, rtol=0
    )
    uniform(torch.atan2(found[:, 1, 0], found[:, 0, 0]), math.radians(20))


def test_each_axis_is_scaled_by_itself() -> None:
    found = matrices(scale=0.2)
    x, y = found[:, 0, 0].log(), found[:, 1, 1].log()
    uniform(x, 0.2)
    uniform(y, 0.2)
    independent(x, y)
    assert found[:, 0, 1:].abs().max() < 1e-6 and found[:, 1, [0, 2]].abs().max() < 1e-6


def test_a_shear_moves_rows() -> None:
    found = matrices(shear=0.2)
    uniform(found[:, 0, 1], 0.2)
    found[:, 0, 1] = 0
    torch.testing.assert_close(found[:, :, :2], torch.eye(2).double().expand(COUNT, 2, 2))


def test_a_translation_is_of_pixels_on_both_axes() -> None:
    found = matrices(translate=3.0)
    right, down = found[:, 0, 2] * WIDTH / 2, found[:, 1, 2] * HEIGHT / 2
    uniform(right, 3.0)
    uniform(down, 3.0)
    independent(right, down)


def test_an_elastic_distortion_is_smooth_and_of_pixels() -> None:
    there, found = seen(elastic=1.0)
    moved = (found - there) * torch.tensor([WIDTH / 2, HEIGHT / 2])
    right, down = moved.unbind(2)
    assert abs(float(right.std() / down.std()) - 1) < 0.1 and 0.5 < float(right.std()) < 1.2
    independent(right.flatten(), down.flatten())
    rows = right.unflatten(1, (HEIGHT // 3, WIDTH // 3))
    assert rows.diff(dim=2).std() < 0.3 and rows.diff(dim=1).std() < 0.3


def test_a_crop_moves_by_every_whole_number_of_pixels() -> None:
    there, found = seen(crop=3)
    moved = (found - there)[:, 0] * torch.tensor([WIDTH / 2, HEIGHT / 2])
    for axis in moved.T:
        assert {round(float(v), 4) for v in axis} == set(range(-3, 4))


def test_a_flip_is_of_half_of_the_images_from_side_to_side() -> None:
    there, found = seen(flip=True)
    as_it_was = (found == there).all(2).all(1)
    mirrored = there * torch.tensor([-1, 1])
    torch.testing.assert_close(found[~as_it_was], mirrored.expand(int((~as_it_was).sum()), -1, -1))
    assert 0.4 < float(as_it_was.double().mean()) < 0.6
