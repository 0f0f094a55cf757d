"""Street View House Numbers: whole numbers (`digitStruct.mat`), and single digits (`*_32x32.mat`).

Netzer, Wang, Coates, Bissacco, Wu, Ng, "Reading Digits in Natural Images with Unsupervised Feature
Learning", NIPS workshop 2011. The files are the user's to get; their terms are non-commercial.
"""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from zoo.data.splits import choose
from zoo.errors import DataError, ZooWarning
from zoo_plugins.datasets.canvases.draws import Draws
from zoo_plugins.datasets.house_numbers.digit_struct import DigitStruct, read_digit_struct
from zoo_plugins.datasets.house_numbers.numbers import CLASSES, LONGEST, Form, padded, union

ADDRESS = "http://ufldl.stanford.edu/housenumbers"
SPLITS = ("test", "train", "extra")
FILE = "digitStruct.mat"
_ZERO = 10  # how the files write the digit 0
_NAMED = 5  # images that a warning lists
_AT_ONCE = 500  # crops that a thread reads in a row


class FullNumbers:
    """Images of whole numbers: items are (uint8 (H, W[, 3]), int64 (5,)); see `numbers`.

    Only images that are there are items. `missing` names the others, and `too_long` those of more
    than five digits, which are left out too; a warning says how many there are of each.

    Args:
        form: of the crops around the union of the digits' boxes.
        root: the folder with `test/`, `train/`, `extra/`, or one that has it as `svhn/`, or the
            folder of one split. None is `ZOO_DATA`.
        split: default test.

    Raises:
        DataError: no such files, a file that cannot be read, or no image at all.
    """

    def __init__(
        self,
        name: str,
        form: Form,
        root: str | os.PathLike[str] | None = None,
        split: str | None = None,
    ) -> None:
        self.name, self.form, self.num_classes = name, form, CLASSES
        self.split, self.root = _folder(root, split)
        content = read_digit_struct(self.root / FILE)
        self.too_long = tuple(
            name for name, n in zip(content.names, content.counts, strict=True) if n > LONGEST
        )
        there = {entry.name for entry in os.scandir(self.root)}
        self.missing = tuple(name for name in content.names if name not in there)
        left_out = {*self.missing, *self.too_long}
        chosen = [i for i, name in enumerate(content.names) if name not in left_out]
        self._report(len(content), len(chosen))
        self.files = [content.names[i] for i in chosen]
        self.boxes, self.labels = _boxes_and_labels(content, chosen, self.root / FILE)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        return self.form.middle(self._cut(index)), self.labels[index]

    def describe(self, index: int) -> str:
        return self.files[index]

    def draw(
        self, index: Tensor, *, epoch: int = 0, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """uint8 (B, C, view, view) and labels (B, 5); all crops are read when first asked.

        Epoch 0 shows the middle, as items do; later ones a random window each.
        """
        draws = Draws(seed or 0, epoch, index) if epoch else None
        pixels, labels = self._pixels
        index = index.to(pixels.device)
        return self.form.windows(pixels[index], draws), labels[index]

    def subset(self, index: Tensor) -> FullNumbers:
        part = object.__new__(type(self))
        part.__dict__ = {k: v for k, v in self.__dict__.items() if k != "_pixels"}
        chosen = index.tolist()
        part.files = [self.files[i] for i in chosen]
        part.boxes, part.labels = [self.boxes[i] for i in chosen], self.labels[chosen]
        return part

    def to(self, device: torch.device | str) -> FullNumbers:
        moved = self.subset(torch.arange(len(self)))
        moved.__dict__["_pixels"] = tuple(t.to(device) for t in self._pixels)
        return moved

    @cached_property
    def _pixels(self) -> tuple[Tensor, Tensor]:
        """uint8 (N, C, size, size) and labels: train and extra at 64 x 64 grey are 0.97 GB.

        No image is kept but its crop, and crops are written where they stay.
        """
        side, depth = self.form.size, (3,) if self.form.mode == "RGB" else ()
        pixels = np.empty((len(self), side, side, *depth), np.uint8)

        def fill(start: int) -> None:
            for i in range(start, min(start + _AT_ONCE, len(self))):
                pixels[i] = self._cut(i)

        with ThreadPoolExecutor() as pool:  # decoding leaves Python's lock
            for _ in pool.map(fill, range(0, len(self), _AT_ONCE)):
                pass
        crops = torch.from_numpy(pixels)
        crops = crops.permute(0, 3, 1, 2) if depth else crops[:, None]
        return crops, torch.from_numpy(self.labels)

    def _cut(self, index: int) -> NDArray[np.uint8]:
        path = self.root / self.files[index]
        try:
            with Image.open(path) as image:
                return self.form.cut(image, self.boxes[index])
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(
                f"the image cannot be read: {error}",
                where=str(path),
                remedy="unpack it again, or delete it to do without",
            ) from error

    def _report(self, named: int, kept: int) -> None:
        if not kept:
            raise DataError(
                f"none of the {named} images that {FILE} names can be used: "
                f"{len(self.missing)} are absent, {len(self.too_long)} longer than {LONGEST}",
                where=str(self.root),
                remedy="unpack the images beside it",
            )
        left_out = {
            "are absent": self.missing,
            f"have more than {LONGEST} digits": self.too_long,
        }
        for why, names in left_out.items():
            if names:
                some = ", ".join(names[:_NAMED]) + (", ..." if names[_NAMED:] else "")
                message = f"{len(names)} of {named} images of {self.root} {why}: {some}"
                warnings.warn(message, ZooWarning, stacklevel=3)


class CroppedDigits:
    """Single digits, 32 x 32: items are (uint8 (32, 32, 3), digit), from `<split>_32x32.mat`.

    Args:
        root: the folder with the files, or one that has it as `svhn/`; None is `ZOO_DATA`.
        split: test (default), train or extra.

    Raises:
        DataError: scipy is not installed; no such file; a file that is damaged or of another kind.
    """

    in_memory = True

    def __init__(
        self, root: str | os.PathLike[str] | None = None, split: str | None = None
    ) -> None:
        self.name = "svhn_cropped"
        self.num_classes: int | None = 10
        folder = _first(
            root, lambda f: any((f / _mat(s)).is_file() for s in SPLITS), _mat(split or "test")
        )
        there = [s for s in SPLITS if (folder / _mat(s)).is_file()]
        self.split = choose(there, split, folder, preferred=SPLITS)
        self.images, self.labels = _read_cropped(folder / _mat(self.split))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        return self.images[index], int(self.labels[index])


def _read_cropped(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """X (32, 32, 3, N) and y (N, 1) of a MATLAB 5 file as (N, 32, 32, 3) and (N,)."""
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise DataError(
            f"reading {path.name} needs scipy",
            where=str(path),
            remedy="pip install 'attention-zoo[svhn]'",
        ) from error
    try:
        content = loadmat(path, variable_names=("X", "y"))
        images, labels = np.asarray(content["X"], np.uint8), content["y"].ravel().astype(np.int64)
        if images.ndim != 4 or images.shape[3] != len(labels):
            raise ValueError(f"X is {images.shape}, y has {len(labels)} values")
    except Exception as error:  # scipy raises a dozen kinds on damaged files
        raise DataError(
            f"cannot be read as cropped digits: {error}",
            where=str(path),
            remedy="download the file again",
        ) from error
    return np.ascontiguousarray(images.transpose(3, 0, 1, 2)), labels % _ZERO


def _boxes_and_labels(
    content: DigitStruct, chosen: list[int], path: Path
) -> tuple[list[tuple[float, float, float, float]], NDArray[np.int64]]:
    boxes, labels, starts = [], [], content.starts
    for i in chosen:
        rows = content.values[starts[i] : starts[i] + content.counts[i]]
        digits = rows[:, 0]
        if not len(rows) or not np.isfinite(rows).all() or ((digits < 1) | (digits > _ZERO)).any():
            raise DataError(
                f"{content.names[i]} has no digit, or an impossible label or box: {rows.tolist()}",
                where=str(path),
                remedy="labels are 1 to 9, and 10 for the digit 0",
            )
        boxes.append(union(rows[:, 1:]))
        labels.append(padded([int(d) % _ZERO for d in digits]))
    return boxes, np.stack(labels)


def _folder(root: str | os.PathLike[str] | None, split: str | None) -> tuple[str, Path]:
    folder = _first(root, lambda f: bool(_splits(f)) or (f / FILE).is_file(), f"<split>/{FILE}")
    splits = _splits(folder)
    if not splits:
        return split or folder.name, folder
    name = choose(splits, split, folder, preferred=SPLITS)
    return name, folder / name


def _splits(folder: Path) -> list[str]:
    return [name for name in SPLITS if (folder / name / FILE).is_file()]


def _first(root: str | os.PathLike[str] | None, fits, wanted: str) -> Path:  # noqa: ANN001
    base = root if root is not None else os.environ.get("ZOO_DATA")
    if base is None:
        raise DataError(
            "where are the files of SVHN?",
            remedy=f"ZOO_DATA=DIR, or --data DIR, with those of {ADDRESS}, unpacked",
        )
    for folder in (Path(base).expanduser(), Path(base).expanduser() / "svhn"):
        if fits(folder):
            return folder
    raise DataError(
        f"there is no {wanted} of SVHN",
        where=str(base),
        remedy=f"put the published files there, unpacked: {ADDRESS}",
    )


def _mat(split: str) -> str:
    return f"{split}_32x32.mat"
