"""MNIST in its published form, IDX files; the official test set comes with the package.

LeCun, Cortes, Burges, "The MNIST database of handwritten digits"; CC BY-SA 3.0. The four files
keep their published names, gzipped or not; other sets of that form (Fashion-MNIST, KMNIST) are
read just as well.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.splits import choose
from zoo.errors import DataError, SplitNotFoundError

STEMS = {"test": "t10k", "train": "train"}
ADDRESS = "https://ossci-datasets.s3.amazonaws.com/mnist"  # the mirror that torchvision takes
BUNDLED = Path(__file__).parent
_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


class MNIST:
    """Digits in memory: items are (uint8 array (28, 28), digit).

    Args:
        root: a folder with the IDX files, or with `mnist/` or `MNIST/raw/` that has them. None is
            the folder `ZOO_DATA`, and for the test set what comes with the package.
        split: `"test"` (default) or `"train"`.

    Raises:
        SplitNotFoundError: there is no such split, or its files are absent.
        DataError: a file is truncated or not IDX.
    """

    in_memory = True

    def __init__(self, root: str | os.PathLike[str] | None = None, split: str | None = None):
        self.name = "mnist"
        self.split = choose(tuple(STEMS), split, root or "mnist", preferred=("test", "train"))
        self.images, self.labels = load(self.split, root)
        self.num_classes: int | None = max(10, int(self.labels.max()) + 1)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        return self.images[index], int(self.labels[index])


def load(
    split: str, root: str | os.PathLike[str] | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """(images uint8 (N, H, W), labels int64 (N,)) of `"test"` or `"train"`; see `MNIST`."""
    image_file, label_file = (_find(name, split, root) for name in _names(split))
    images, labels = read_idx(image_file, ndim=3), read_idx(label_file, ndim=1)
    if len(images) != len(labels) or not len(labels):
        raise DataError(
            f"{len(images)} images, {len(labels)} labels", where=f"{image_file}, {label_file.name}"
        )
    return images, labels.astype(np.int64)


def has_idx(root: Path) -> bool:
    """Whether a folder holds IDX files under their published names."""
    return any(_candidates(_names(split)[0], root) for split in STEMS)


def read_idx(path: str | os.PathLike[str], ndim: int | None = None) -> NDArray[Any]:
    """An IDX file, gzipped or not, as an array; `ndim` is what it must have."""
    path = Path(path)
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        return _parse(content, ndim)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(
            f"not a whole IDX file: {error}", where=str(path), remedy="download the file again"
        ) from error


def _parse(content: bytes, ndim: int | None) -> NDArray[Any]:
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise ValueError("its first bytes are not those of IDX")
    if ndim is not None and content[3] != ndim:
        raise ValueError(f"it has {content[3]} dimensions, expected {ndim}")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError("its header is cut short")
    shape = [int(n) for n in np.frombuffer(content, ">u4", content[3], 4)]
    dtype = np.dtype(_TYPES[content[2]])
    if len(content) != start + prod(shape) * dtype.itemsize:
        raise ValueError(f"its length is not that of {'x'.join(map(str, shape))} values")
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


def _names(split: str) -> tuple[str, str]:
    return f"{STEMS[split]}-images-idx3-ubyte", f"{STEMS[split]}-labels-idx1-ubyte"


def _candidates(name: str, root: Path) -> list[Path]:
    folders = (root, root / "mnist", root / "MNIST" / "raw")
    paths = [folder / f"{name}{end}" for folder in folders for end in ("", ".gz")]
    return [path for path in paths if path.is_file()]


def _find(name: str, split: str, root: str | os.PathLike[str] | None) -> Path:
    for folder in _folders(split, root):
        for path in _candidates(name, folder):
            return path
    folder = root or os.environ.get("ZOO_DATA")
    place = str(folder or "DIR")
    use = "" if folder else ", then ZOO_DATA=DIR or --data DIR"
    raise SplitNotFoundError(
        f"no file {name}[.gz] of the MNIST {split} set",
        where=str(folder or "ZOO_DATA is not set"),
        remedy=f"python -c \"import torchvision.datasets as d; d.MNIST('{place}', download=True)\""
        f"{use}; or put the four files of {ADDRESS} there",
    )


def _folders(split: str, root: str | os.PathLike[str] | None) -> Iterator[Path]:
    if root is not None:
        yield Path(root).expanduser()
        return
    if "ZOO_DATA" in os.environ:
        yield Path(os.environ["ZOO_DATA"]).expanduser()
    if split == "test":
        yield BUNDLED
