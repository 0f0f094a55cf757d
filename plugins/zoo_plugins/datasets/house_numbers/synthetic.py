"""Synthetic house numbers: to train on where SVHN is not to be had. No photograph is in them.

Digits of real fonts in perspective, on a textured background, between distractor digits, blurred
and noisy; in the form of the crops of `svhn`. A number is a function of its index, the epoch and
the seed alone, on every device.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from zoo.data.splits import choose
from zoo_plugins.datasets.canvases.draws import Draws
from zoo_plugins.datasets.canvases.sampling import sample
from zoo_plugins.datasets.house_numbers.glyphs import SIDE, Glyphs, load_glyphs
from zoo_plugins.datasets.house_numbers.numbers import BLANK, CLASSES, LONGEST, Form

COUNTS = {"test": 10_000, "train": 60_000}
SEEDS = {"test": 14127755, "train": 0}
LENGTHS = (0.15, 0.55, 0.25, 0.04, 0.01)  # shares of numbers of 1 to 5 digits, much as in SVHN
SLOTS = LONGEST + 2  # a distractor, up to five digits, a distractor
DISTRACTED = 0.3  # how often there is a distractor, each side
TEXTURE = (4, 12)  # grid points of the two scales of background texture
SHARP = 20  # pixels of a crop's side for each pass of blur that it may get


class SyntheticNumbers:
    """Items are (uint8 (H, W), int64 (5,)), as of `svhn.FullNumbers`; all are made up.

    60,000 numbers for training, others in each epoch; 10,000 for testing, with the published seed
    14127755.

    Args:
        form: size, view and margin of the crops; they are grey.
        root: not used, nothing is read.
        split: test (default) or train.
    """

    in_memory = True

    def __init__(
        self,
        name: str,
        form: Form,
        root: str | os.PathLike[str] | None = None,
        split: str | None = None,
    ) -> None:
        self.name, self.form, self.num_classes = name, form, CLASSES
        self.split = choose(tuple(COUNTS), split, name, preferred=("test", "train"))
        self.index = torch.arange(COUNTS[self.split])
        self.glyphs = load_glyphs()

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name} has {len(self)} images, there is no {index}")
        images, labels = self.draw(torch.tensor([index % len(self)]))
        return images[0, 0].cpu().numpy(), labels[0].cpu().numpy()

    def draw(
        self, index: Tensor, *, epoch: int = 0, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """uint8 (B, 1, view, view) and labels (B, 5); epoch 0 shows the middle of each crop."""
        seed = SEEDS[self.split] if seed is None else seed
        draws = Draws(seed, epoch, self.index[index.cpu()])
        number = _number(draws, self.glyphs)
        images = _picture(number, self.glyphs, self.form, draws)
        windows = self.form.windows(images[:, None], draws if epoch else None)
        return windows, number.label.to(windows.device)

    def subset(self, index: Tensor) -> SyntheticNumbers:
        part = object.__new__(type(self))
        part.__dict__ = {**self.__dict__, "index": self.index[index]}
        return part

    def to(self, device: torch.device | str) -> SyntheticNumbers:
        moved = object.__new__(type(self))
        glyphs = Glyphs(self.glyphs.masks.to(device), self.glyphs.widths)
        moved.__dict__ = {**self.__dict__, "glyphs": glyphs}
        return moved


@dataclass(frozen=True, slots=True)
class _Number:
    """glyph (B, 7): which mask each slot shows, -1 none; edges (B, 8): where slots begin and end,
    in heights from the left end of the number; width (B, 1); label (B, 5)."""

    glyph: Tensor
    edges: Tensor
    width: Tensor
    label: Tensor


def _number(draws: Draws, glyphs: Glyphs) -> _Number:
    shares = torch.tensor(LENGTHS, dtype=torch.float64).cumsum(0)
    length = torch.bucketize(draws.uniform(), shares[:-1], right=True) + 1
    font = draws.integers(len(glyphs.widths) // 10)
    digit = draws.integers(10, SLOTS)
    leading = (digit[:, 1:2] == 0) & (length > 1)  # no number of several digits begins with 0
    digit[:, 1:2] = torch.where(leading, draws.integers(9) + 1, digit[:, 1:2])
    place = torch.arange(SLOTS)
    used = (place >= 1) & (place <= length)
    distracting = (draws.uniform(2) < DISTRACTED).repeat_interleave(2, 1)[:, : SLOTS - LONGEST]
    shown = (
        used | ((place == 0) & distracting[:, :1]) | ((place == length + 1) & distracting[:, 1:])
    )
    glyph = font * 10 + digit
    gap = draws.uniform(1, 0.05, 0.35)
    widths = (glyphs.widths[glyph] + gap) * (used | (place == 0) | (place == length + 1))
    ends = widths.cumsum(1)
    edges = F.pad(ends, (1, 0)) - ends[:, :1]  # the first digit begins at 0
    label = torch.where(used[:, 1 : LONGEST + 1], digit[:, 1 : LONGEST + 1], BLANK)
    width = (widths * used).sum(1, keepdim=True)
    return _Number(torch.where(shown, glyph, -1), edges, width, label)


def _picture(number: _Number, glyphs: Glyphs, form: Form, draws: Draws) -> Tensor:
    """uint8 (B, size, size)."""
    ink = _ink(number, glyphs, form, draws)
    paper, pen = _colours(draws)
    device = ink.device
    ground = _ground(form.size, paper, draws, device)
    pen = pen.to(device)[:, :, None]
    image = (ground * (255 - ink) + pen * ink + 127) // 255
    most = form.size // SHARP
    image = _blurred(image, draws.integers(most + 1).to(device), most)
    return _noisy(image, draws)


def _ink(number: _Number, glyphs: Glyphs, form: Form, draws: Draws) -> Tensor:
    """int32 (B, size, size), 0 to 255: where the digits are, looked up pixel by pixel."""
    x, y = _strip(form, number.width, draws)
    slot = torch.searchsorted(number.edges, x.flatten(1).contiguous(), right=True) - 1
    slot = slot.clamp(0, SLOTS - 1)
    begin = number.edges.gather(1, slot)
    chosen = number.glyph.gather(1, slot)
    wide = glyphs.widths[chosen.clamp_min(0)]
    across = (x.flatten(1) - begin) / wide - 0.5
    lift = draws.uniform(SLOTS, -0.06, 0.06).gather(1, slot)
    down = y.flatten(1) - 0.5 + lift
    # One tall picture of all masks, a black row between each two, makes one lookup of them.
    masks = F.pad(glyphs.masks, (0, 0, 0, 2)).reshape(1, -1, SIDE)
    tall = chosen.clamp_min(0) * (SIDE + 2) + (down.clamp(-0.5, 0.5) + 0.5) * SIDE - 0.5
    inside = (chosen >= 0) & (down.abs() <= 0.5) & (across.abs() <= 0.5)
    source = torch.stack((across * SIDE, tall - (masks.shape[1] - 1) / 2), -1)
    source = source.reshape(1, len(x), -1, 2)
    ink = sample(masks, source)[0].to(torch.int32)
    return (ink * inside.to(ink.device)).view(x.shape)


def _strip(form: Form, width: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """Where pixels lie on the strip of digits: x from 0 to `width`, y from 0 to 1; (B, S, S).

    The number's box fills the crop but for its margin, seen slightly turned and in perspective.
    """
    steps = (torch.arange(form.size, dtype=torch.float64) + 0.5) / form.size * 2 - 1
    u, v = steps.expand(form.size, -1), steps[:, None].expand(-1, form.size)
    turn, slant, grow_x, grow_y, right, down, tilt_u, tilt_v = (
        t[..., None] for t in draws.uniform(8, -1, 1).split(1, 1)
    )
    depth = 1 + 0.12 * (tilt_u * u + tilt_v * v)
    size = (1 + form.margin) * (1 + 0.06 * torch.cat((grow_x, grow_y), 1))
    across = (u + 0.15 * slant * v + 0.05 * right) / depth * size[:, :1]
    height = (v + 0.12 * turn * u + 0.05 * down) / depth * size[:, 1:]
    return (across + 1) / 2 * width[..., None], (height + 1) / 2


def _colours(draws: Draws) -> tuple[Tensor, Tensor]:
    """int32 (B, 1) each: grey of the background and of the digits, at least 40 steps apart."""
    paper = draws.integers(256)
    apart = draws.integers(140) + 40
    up = draws.uniform() < 0.5
    up = (up & (paper + apart <= 255)) | (paper - apart < 0)
    pen = torch.where(up, paper + apart, paper - apart).clamp(0, 255)
    return paper.to(torch.int32), pen.to(torch.int32)


def _ground(size: int, paper: Tensor, draws: Draws, device: torch.device) -> Tensor:
    """int32 (B, size, size): the background, `paper` with texture at two scales."""
    total = paper.to(device)[:, :, None]
    for points in TEXTURE:
        strength = draws.integers(50)
        coarse = (draws.uniform(points**2) * strength).to(torch.uint8).view(-1, points, points)
        steps = torch.linspace(-(points - 1) / 2, (points - 1) / 2, size, dtype=torch.float64)
        where = torch.stack((steps.expand(size, -1), steps[:, None].expand(-1, size)), -1)
        texture = sample(coarse.to(device), where[None]).to(torch.int32)
        total = total + texture - (strength // 2).to(device)[:, :, None].to(torch.int32)
    return total.clamp(0, 255)


def _blurred(image: Tensor, passes: Tensor, most: int) -> Tensor:
    """Each image through the 3 x 3 binomial filter as many times as `passes` (B, 1) says."""
    for n in range(most):
        padded = F.pad(image[:, None].float(), (1, 1, 1, 1), mode="replicate")[:, 0].to(torch.int32)
        rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
        smooth = (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:] + 8) // 16
        image = torch.where((passes > n)[:, :, None], smooth, image)
    return image


def _noisy(image: Tensor, draws: Draws) -> Tensor:
    """uint8: with uniform noise of 0 to 20 steps either way, another strength for each image."""
    strength = draws.integers(21)[..., None]
    noise = draws.uniform(image[0].numel(), -1, 1).view(image.shape) * strength
    return (image + noise.round().to(torch.int32).to(image.device)).clamp(0, 255).to(torch.uint8)
