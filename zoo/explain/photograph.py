"""A photograph of any size, what a model sees of it, and where that lies in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from zoo.data.modes import to_mode
from zoo.data.preprocessing import Preprocessing, ToPixels
from zoo.errors import DataError, UsageError

ImageLike: TypeAlias = str | os.PathLike[str] | Image.Image | NDArray[np.uint8] | Tensor
LARGEST = 1024  # side of a tensor's picture, and of what a map is drawn on


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where the input of a model lies in a photograph.

    Attributes:
        size: (rows, columns) of the photograph.
        left, top, width, height: of the input, in pixels of the photograph. It may reach beyond it.
    """

    size: tuple[int, int]
    left: float = 0.0
    top: float = 0.0
    width: float
    height: float

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """left, right, bottom, top, as matplotlib takes them."""
        return self.left, self.left + self.width, self.top + self.height, self.top

    @property
    def is_whole(self) -> bool:
        """Whether the input is the whole photograph."""
        rows, columns = self.size
        edges = (self.left, self.top, self.width - columns, self.height - rows)
        return all(abs(edge) < 1 for edge in edges)

    def place(self, cells: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cells (h, w) that cover the input, as values (H, W) of the photograph's pixels.

        They are interpolated bilinearly between the centres of the cells. Where the model saw
        nothing stands NaN.
        """
        rows, columns = self.size
        y = (np.arange(rows, dtype=np.float64) + 0.5 - self.top) / self.height * 2 - 1
        x = (np.arange(columns, dtype=np.float64) + 0.5 - self.left) / self.width * 2 - 1
        ys, xs = torch.from_numpy(y).float(), torch.from_numpy(x).float()
        grid = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), -1)
        values = F.grid_sample(
            torch.from_numpy(np.ascontiguousarray(cells))[None, None], grid[None],
            padding_mode="border", align_corners=False,
        )  # fmt: skip
        found = values[0, 0].numpy()
        found[(np.abs(y) > 1)[:, None] | (np.abs(x) > 1)[None, :]] = np.nan
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Photograph:
    """What was given, and what the model sees of it.

    Attributes:
        pixels: uint8 (H, W, 3), the photograph itself.
        seen: uint8 (h, w, C), resized and cropped by the model's preprocessing.
        input: float (1, C, h, w), what the model is called with.
        frame: where `seen` lies in `pixels`.
        name: of the file; empty for an image in memory.
    """

    pixels: NDArray[np.uint8]
    seen: NDArray[np.uint8]
    input: Tensor
    frame: Frame
    name: str = ""


def photograph(image: ImageLike, settings: Preprocessing) -> Photograph:
    """An image as a photograph and as the model's input.

    Args:
        image: a file, a PIL image, uint8 (H, W[, C]), or a float tensor (C, h, w) or (1, C, h, w),
            which is taken for the model's input as it is.

    Raises:
        DataError: a file that is no image. UsageError: something else.
    """
    if isinstance(image, Tensor):
        return _of_tensor(image)
    name = os.fspath(image) if isinstance(image, str | os.PathLike) else ""
    with _readable(name):
        opened = _open(image)
        seen, frame = _see(opened, ToPixels(settings))
        pixels = np.array(to_mode(opened, "RGB"))
    x = settings.normalise(torch.from_numpy(seen)[None])
    return Photograph(pixels=pixels, seen=seen, input=x, frame=frame, name=name)


def check_file(path: str) -> None:
    """The file is an image, as far as its beginning tells.

    Raises:
        DataError: it is none.
    """
    with _readable(path):
        _check_regular(path)
        Image.open(Path(path).expanduser()).close()


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"no image can be read: {error}", where=name or "image") from error


def _check_regular(path: str | os.PathLike[str]) -> None:
    file = Path(path).expanduser()
    if file.exists() and not file.is_file():  # a pipe may never end
        raise DataError("this is not a regular file", where=os.fspath(path))


def _open(image: Any) -> Image.Image:
    """A photograph as its file holds it, which is how every command reads it."""
    if isinstance(image, str | os.PathLike):
        _check_regular(image)
        with Image.open(Path(image).expanduser()) as opened:
            opened.load()
            return opened
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim in (2, 3):
        grey = image.ndim == 3 and image.shape[2] == 1
        return Image.fromarray(image[..., 0] if grey else image)
    raise UsageError(
        f"a {type(image).__name__} is no image",
        where="image",
        remedy="a file, a PIL image, uint8 (H, W, 3), or the model's input as a float tensor",
    )


def _see(image: Image.Image, to_pixels: ToPixels) -> tuple[NDArray[np.uint8], Frame]:
    """The image through timm's transform, step by step, and where its result lies in the image.

    A step that resizes changes the scale. Every other one cuts or pads around the middle; of an odd
    number of pixels that are padded, the smaller half is on the left.
    """
    picture = to_mode(image, to_pixels.mode)
    scale, corner = np.ones(2), np.zeros(2)  # (x, y): pixels of the image for one of the picture
    for step in to_pixels.steps:
        before = np.array(picture.size)
        picture = step(picture)
        after = np.array(picture.size)
        if "Resize" in type(step).__name__:
            scale = scale * before / after
        else:
            cut = before - after
            corner = corner + np.where(cut < 0, -(-cut // 2), np.round(cut / 2)) * scale
    pixels = np.array(picture)
    width, height = (float(n) for n in np.array(picture.size) * scale)
    frame = Frame(
        size=(image.size[1], image.size[0]), left=float(corner[0]), top=float(corner[1]),
        width=width, height=height,
    )  # fmt: skip
    return (pixels[..., None] if pixels.ndim == 2 else pixels), frame


def _of_tensor(tensor: Tensor) -> Photograph:
    """The model's own input, shown from its least to its largest value."""
    x = tensor.detach()[None] if tensor.ndim == 3 else tensor.detach()
    if x.ndim != 4 or len(x) != 1 or not x.is_floating_point() or 0 in x.shape:
        raise UsageError(
            f"a tensor {tuple(tensor.shape)} of {tensor.dtype} is not the input of one image",
            where="image",
            remedy="a float tensor (C, H, W) or (1, C, H, W), preprocessed as the model wants it",
        )
    shown = x[0].float().cpu()
    shown = shown if len(shown) == 3 else shown.mean(0, keepdim=True)
    low, high = shown.aminmax()
    bytes_ = ((shown - low) / (high - low).clamp(min=1e-12) * 255).to(torch.uint8)
    seen = bytes_.permute(1, 2, 0).numpy()
    rows, columns = seen.shape[:2]
    return Photograph(
        pixels=np.repeat(seen, 4 - seen.shape[2], 2)[..., :3] if seen.shape[2] == 1 else seen,
        seen=seen, input=x, frame=Frame(size=(rows, columns), width=columns, height=rows),
    )  # fmt: skip
