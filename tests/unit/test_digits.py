"""Canvases drawn on the fly: what is on them, and that they are the same wherever drawn."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import zoo_plugins.digits as digits_plugin
from click.testing import CliRunner
from zoo_plugins.datasets.canvases import sets
from zoo_plugins.datasets.canvases.canvas import Canvas, paste
from zoo_plugins.datasets.canvases.distort import CORNERS, Distorted, _homography, _pixels, _spline
from zoo_plugins.datasets.canvases.draws import Draws
from zoo_plugins.datasets.canvases.pairs import APART, Pair
from zoo_plugins.datasets.canvases.sampling import sample
from zoo_plugins.datasets.canvases.source import Digits

from zoo.cli import cli
from zoo.data.resolve import open_data
from zoo.errors import DataError, OptionError
from zoo.registry.targets import resolve

MNIST_SETS = [spec for spec in digits_plugin.DATASETS if spec.name.startswith("mnist_")]
DRAWN = [*MNIST_SETS, *(s for s in digits_plugin.DATASETS if s.name.startswith("synthetic_"))]
# sha256 of the first hundred images and labels of the test split: published sets must never change.
PUBLISHED = {
    "mnist_translated60": "686e0597100f8977460583cd954a520862fdf8a3fc5fb57b7942b9ba2e72f379",
    "mnist_cluttered60": "44e0aec97bbe9d1f01903d13886b836b02333deb0e59f1926e84a356aab37596",
    "mnist_cluttered100": "d2cd59cc96bac4fee0702aa8af03722c12f4685c6044fdda043ef7d619272b0d",
    "mnist_clutter_seed100": "bef81f3650ed1b60bf051d78e4b4a128ff14039fe156096d02fa4b50b66315ee",
    "mnist_addition": "4ecb07bcf40cbb244e3ec8c7c7ee056f71af685541b7a7cd70c7b229f0c6119f",
    "mnist_pairs_cluttered": "00c9dcf366f768375866b16da608f3b3dd39659f395dbc030b637d0631815e52",
    "mnist_addition_uniform": "fc2c8b73003f1f9d2601405881bdffd4818fc71c51e9343194cc171e15c90c93",
    "mnist_distorted_r": "823c09fdccaad3c41cebb3325e37cc84c91e942a2cedea3315b5eb24900f6cff",
    "mnist_distorted_rts": "5ff73448f84c2c09e738e971663200445e6491fae9a29bab9cf0863feb74ef36",
    "mnist_distorted_p": "0b8997bf960143976752191055433ca775d59ddef7f5d41e2a4d07456c639731",
    "mnist_distorted_e": "db65f342bae5ead1a14cea9f524156123c57dfcfc652c4c6ea2ae256ba3f2c75",
    "mnist_pairs": "6e49b26f02e47f563e4f25aa53eb08baa38ab8f8ae9de733da5276d226369634",
}


@pytest.fixture(autouse=True)
def no_zoo_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZOO_DATA", raising=False)


def opened(spec):
    return resolve(spec.target, "zoo_plugins.digits")(None, "test")


def flat_digits(count: int = 40, side: int = 28) -> Digits:
    """Digit i is a full square of brightness i + 1, so that every pixel tells where it is from."""
    values = torch.arange(1, count + 1, dtype=torch.uint8)
    return Digits(values[:, None, None].expand(-1, side, side).contiguous(), values.long() % 10)


@pytest.mark.parametrize("spec", DRAWN, ids=lambda s: s.name)
class TestEverySet:
    def test_an_item_is_the_same_alone_in_any_batch_and_whatever_else_is_random(self, spec):
        data = opened(spec)
        torch.manual_seed(1)
        index = torch.tensor([7, 3, 500, 3])
        images, labels = data.draw(index)
        torch.manual_seed(2)
        for place, i in enumerate(index.tolist()):
            image, label = data[i]
            assert np.array_equal(images[place, 0].numpy(), image)
            assert np.array_equal(labels[place].numpy(), label)

    def test_each_epoch_and_seed_shows_something_else(self, spec):
        data, index = opened(spec), torch.arange(8)
        shown = [data.draw(index, epoch=e, seed=s)[0] for e, s in ((0, 0), (1, 0), (0, 1))]
        assert all((shown[0] != other).flatten(1).any(1).all() for other in shown[1:])
        assert torch.equal(data.draw(index, epoch=1, seed=0)[0], shown[1])

    def test_shapes_labels_and_size(self, spec):
        data = opened(spec)
        image, label = data[len(data) - 1]
        assert len(data) == 10_000 and data.split == "test" and data.num_classes is not None
        assert image.dtype == np.uint8 and image.ndim == 2 and 0 <= np.max(label)
        assert np.max(label) < data.num_classes == spec.num_classes
        with pytest.raises(IndexError, match=spec.name):
            data[len(data)]

    @pytest.mark.gpu
    def test_the_same_bytes_on_a_gpu(self, spec):
        data, index = opened(spec), torch.arange(200)
        for epoch in (0, 1):
            here, there = data.draw(index, epoch=epoch), data.to("cuda").draw(index, epoch=epoch)
            assert all(torch.equal(a, b.cpu()) for a, b in zip(here, there, strict=True))


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_test_sets_stay_as_they_are(name):
    images, labels = opened(next(s for s in MNIST_SETS if s.name == name)).draw(torch.arange(100))
    content = images.numpy().tobytes() + labels.numpy().tobytes()
    assert hashlib.sha256(content).hexdigest() == PUBLISHED[name]


def test_sets_are_opened_by_name():
    assert open_data("mnist_cluttered60")[0][0].shape == (60, 60)
    with pytest.raises(DataError, match="ZOO_DATA"):
        open_data("mnist_cluttered60", "train")
    with pytest.raises(DataError, match="validation"):
        open_data("mnist_pairs", "validation")


class TestCanvas:
    def test_a_translated_digit_is_whole_and_alone(self):
        data = opened(MNIST_SETS[0])
        images, labels = data.draw(torch.arange(50))
        for image, label, i in zip(images[:, 0], labels, range(50), strict=True):
            digit = data.digits.images[i]
            windows = image.unfold(0, 28, 1).unfold(1, 28, 1)
            assert (windows == digit).flatten(2).all(-1).any()
            assert image.sum(dtype=torch.int64) == digit.sum(dtype=torch.int64)
            assert label == data.digits.labels[i]

    def test_places_are_uniform_over_the_canvas(self):
        digits = flat_digits(1)
        images, _ = Canvas(60).draw(digits, torch.zeros(4000).long(), Draws(0, 0, range(4000)))
        rows = (images > 0).any(2).int().argmax(1).numpy()
        counts = np.bincount(rows, minlength=33)
        assert len(counts) == 33
        expected = 4000 / 33
        assert ((counts - expected) ** 2 / expected).sum() < 62.5  # chi-square, 32 degrees, 0.1 %

    def test_pieces_have_their_size_and_come_from_other_digits(self):
        digits, count = flat_digits(), 40
        # The item's own digit is drawn with no ink, so that all that is seen are pieces.
        for i in range(count):
            bare = Digits(digits.images.clone(), digits.labels)
            bare.images[i] = 0
            image, _ = Canvas(60, 4, 8).draw(bare, torch.tensor([i]), Draws(5, 0, [i]))
            values, areas = image[image > 0].unique(return_counts=True)
            assert 1 <= len(values) <= 4 and i + 1 not in values
            assert areas.max() <= 4 * 64 and areas.sum() <= 256
        apart, _ = Canvas(100, 1, 9).draw(digits, torch.tensor([39]), Draws(5, 0, [2]))
        assert {28 * 28, 81} >= set(apart[apart > 0].unique(return_counts=True)[1].tolist())

    def test_pasting_is_what_a_loop_would_do(self):
        generator = torch.Generator().manual_seed(0)
        patches = torch.randint(0, 256, (3, 5, 4, 6), generator=generator, dtype=torch.uint8)
        corner = torch.randint(0, 7, (3, 5, 2), generator=generator)
        expected = torch.zeros(3, 12, 12, dtype=torch.uint8)
        for b in range(3):
            for patch, (y, x) in zip(patches[b], corner[b].tolist(), strict=True):
                seen = expected[b, y : y + 4, x : x + 6]
                torch.maximum(seen, patch, out=seen)
        assert torch.equal(paste(12, [(patches, corner)]), expected)


class TestPairs:
    def test_a_canvas_without_room_for_two_is_refused(self):
        digits, index = flat_digits(8), torch.arange(8)
        Pair(84).draw(digits, index, Draws(1, 0, index))
        with pytest.raises(OptionError, match="too small for two digits"):
            Pair(83).draw(digits, index, Draws(1, 0, index))

    def test_two_whole_digits_apart_and_named_from_left_to_right(self):
        digits, index = flat_digits(200), torch.arange(200)
        images, labels = Pair().draw(digits, index, Draws(1, 0, index))
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            values, areas = image[image > 0].unique(return_counts=True)
            assert areas.sum() == 2 * 28 * 28 and i + 1 in values
            both = sorted((int((image == v).any(0).int().argmax()), int(v)) for v in values)
            if len(both) == 2:
                assert both[1][0] - both[0][0] >= APART
                assert [v % 10 for _, v in both] == label.tolist()

    def test_the_second_digit_may_lie_anywhere_that_is_free(self):
        digits, index = flat_digits(250), torch.arange(250)
        images, _ = Pair().draw(digits, index, Draws(2, 0, index))
        ink = (images > 0).any(0)
        assert ink[0].any() and ink[-1].any() and ink[:, 0].any() and ink[:, -1].any()

    def test_addition_is_the_sum_of_the_pair(self):
        pairs, sums = (opened(s) for s in MNIST_SETS if s.name in ("mnist_pairs", "mnist_addition"))
        index = torch.arange(300)
        assert torch.equal(pairs.draw(index)[0], sums.draw(index)[0])
        assert torch.equal(pairs.draw(index)[1].sum(1), sums.draw(index)[1])


class TestDistortions:
    def test_sampling_is_grid_sample_to_one_step(self):
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (3, 9, 13), generator=generator, dtype=torch.uint8)
        source = torch.rand(3, 20, 17, 2, generator=generator, dtype=torch.float64) * 20 - 10
        grid = source / torch.tensor([12 / 2, 8 / 2], dtype=torch.float64)
        wanted = F.grid_sample(images[:, None].double(), grid, align_corners=True)[:, 0]
        assert (sample(images, source).double() - wanted).abs().max() <= 2
        assert (sample(images, source).double() - wanted).abs().mean() < 0.5

    @pytest.mark.parametrize("turn", [-90, 90])
    def test_the_largest_rotations_turn_a_digit_onto_its_side(self, turn, monkeypatch):
        share = (turn + 90) / 180
        monkeypatch.setattr(
            Draws, "uniform", lambda self, n=1, low=0.0, high=1.0: torch.full(
                (len(self), n), low + share * (high - low), dtype=torch.float64
            )
        )  # fmt: skip
        digits = opened(MNIST_SETS[0]).digits
        images, _ = Distorted("r").draw(digits, torch.arange(5), Draws(0, 0, range(5)))
        turned = torch.rot90(digits.images[:5], -turn // 90, (1, 2))
        assert torch.equal(images, turned)

    def test_rts_digits_lie_within_their_canvas(self):
        digits = opened(MNIST_SETS[0]).digits
        images, _ = Distorted("rts", 42).draw(digits, torch.arange(500), Draws(0, 0, range(500)))
        ink = images.sum(dtype=torch.int64) / digits.images[:500].sum(dtype=torch.int64)
        assert 0.85 < ink < 1.02  # the mean of scale squared is 0.92
        edge = torch.cat((images[:, 0], images[:, -1], images[..., 0], images[..., -1]), 1)
        assert ((edge > 128).any(1)).float().mean() < 0.05

    def test_a_projection_takes_the_corners_where_they_were_moved(self):
        generator = torch.Generator().manual_seed(0)
        moved = CORNERS * 10 + torch.randn(6, 4, 2, generator=generator, dtype=torch.float64)
        for quad in moved:
            x, y, depth = _homography(quad[None], CORNERS * 14, quad).unbind(-1)
            found = torch.stack((x / depth, y / depth), -1)[0]
            torch.testing.assert_close(found, CORNERS * 14)

    def test_the_spline_passes_through_its_control_points(self):
        # With control points at pixels' centres: 28 pixels, of which 1, 10, 19, 28 are hit.
        weights = _spline(28, 27).view(28, 28, 16)
        hit = weights[::9, ::9].reshape(16, 16)
        torch.testing.assert_close(hit, torch.eye(16, dtype=torch.float64), atol=1e-9, rtol=0)
        assert torch.allclose(weights.sum(-1), torch.ones(28, 28, dtype=torch.float64))
        assert _pixels(28)[0].tolist() == [-13.5, -13.5]

    @pytest.mark.parametrize("kind", ["p", "e"])
    def test_digits_are_distorted_but_there(self, kind):
        data = opened(next(s for s in MNIST_SETS if s.name == f"mnist_distorted_{kind}"))
        images, _ = data.draw(torch.arange(400))
        ink = images.flatten(1).sum(1, dtype=torch.int64) / data.digits.images[:400].flatten(1).sum(
            1, dtype=torch.int64
        )
        assert 0.5 < ink.median() < 1.1 and (ink < 0.15).float().mean() < 0.01


class TestDraws:
    def test_uniform_and_normal_numbers_are_what_they_say(self):
        draws = Draws(3, 1, range(20000))
        unit, normal = draws.uniform(4), draws.normal(4)
        assert 0 <= unit.min() and unit.max() < 1
        assert abs(unit.mean() - 0.5) < 0.005 and abs(unit.var() - 1 / 12) < 0.002
        assert abs(normal.mean()) < 0.015 and abs(normal.std() - 1) < 0.01
        ordered = unit.flatten().sort().values
        even = torch.linspace(0, 1, len(ordered), dtype=torch.float64)
        assert (ordered - even).abs().max() < 1.63 / len(ordered) ** 0.5  # Kolmogorov, 1 %

    def test_streams_do_not_repeat_across_seeds_epochs_items_or_calls(self):
        numbers = torch.cat([
            Draws(seed, epoch, range(50)).uniform(20).flatten()
            for seed in (0, 1, 2**63) for epoch in (0, 1, 50)
        ])  # fmt: skip
        assert len(numbers.unique()) == len(numbers)
        first = Draws(0, 0, [4])
        assert torch.equal(torch.cat((first.uniform(2), first.uniform(3)), 1),
                           Draws(0, 0, [4]).uniform(5))  # fmt: skip

    def test_neighbouring_items_are_independent(self):
        unit = Draws(0, 0, range(20000)).uniform(3)
        pairs = torch.stack((unit[:-1, 0], unit[1:, 0], unit[:-1, 1]))
        assert (torch.corrcoef(pairs) - torch.eye(3)).abs().max() < 0.03


def test_a_subset_draws_its_clutter_from_itself():
    data = sets.mnist_cluttered60(None, "test")
    part = data.subset(torch.tensor([5, 9, 77]))
    assert len(part) == 3 and len(data) == 10_000
    assert part[2][1] == data.digits.labels[77] and part.digits.images.shape[0] == 3


def test_a_canvas_is_evaluated_by_name():
    call = ["eval", "ram_mnist_cluttered60", "--data", "mnist_cluttered60", "--limit", "100"]
    result = CliRunner().invoke(cli, [*call, "--workers", "0", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["metrics"]["top1"] >= 88  # of all, 96.27 % were measured
