"""SVHN's `digitStruct.mat`: which digits are where in which image (MATLAB 7.3, that is HDF5)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo_plugins.datasets.house_numbers.hdf5_raw import FLOAT64, REFERENCE, UINT16, RawFile, Unusual

# What h5py raises on damaged files, and numpy on what is not laid out so.
_BROKEN = (OSError, LookupError, ValueError, TypeError, RuntimeError, AttributeError, MemoryError)
FIELDS = ("label", "left", "top", "width", "height")


@dataclass(frozen=True, slots=True)
class DigitStruct:
    """One entry an image, as the file gives them.

    Attributes:
        names: of the image files.
        counts: int64 (N,), digits of each image.
        values: float64 (sum of counts, 5): label (0 is written as 10), left, top, width, height in
            pixels, in the order of the images.
    """

    names: tuple[str, ...]
    counts: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def starts(self) -> NDArray[np.int64]:
        """(N,): where each image's rows begin in `values`."""
        return np.cumsum(self.counts) - self.counts


def read_digit_struct(path: str | os.PathLike[str]) -> DigitStruct:
    """Read a whole file; 33,402 entries take seconds.

    Raises:
        DataError: h5py is not installed, or the file is absent, damaged or of another kind.
    """
    path = Path(path)
    h5py = _h5py(path)
    try:
        with h5py.File(path, "r") as file:
            return _read(path, file, h5py)
    except _BROKEN as error:
        raise DataError(
            f"cannot be read as digitStruct: {error}",
            where=str(path),
            remedy="unpack the published train.tar.gz, test.tar.gz or extra.tar.gz again",
        ) from error


def _h5py(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            "reading digitStruct.mat needs h5py",
            where=str(path),
            remedy="pip install 'attention-zoo[svhn]'",
        ) from error
    return h5py


def _read(path: Path, file: Any, h5py: Any) -> DigitStruct:
    columns = [file[f"digitStruct/{key}"] for key in ("name", "bbox")]
    if len(columns[0]) != len(columns[1]):
        raise ValueError(f"{len(columns[0])} names, {len(columns[1])} boxes")
    try:
        names, boxes = (_addresses(column, h5py) for column in columns)
        raw = RawFile(path, file.userblock_size)
        return DigitStruct(_names(raw, names), *_digits(raw, boxes))
    except Unusual:
        return _slowly(file, *(column[:, 0] for column in columns))


def _addresses(column: Any, h5py: Any) -> NDArray[np.int64]:
    """(N, 1) references of the file as the addresses that they are."""
    found = np.empty(column.shape, np.int64)
    column.id.read(h5py.h5s.ALL, h5py.h5s.ALL, found, h5py.h5t.STD_REF_OBJ)
    return found[:, 0]


def _names(raw: RawFile, addresses: NDArray[np.int64]) -> tuple[str, ...]:
    letters = raw.extents(addresses)
    if not letters.are(UINT16).all():
        raise Unusual
    places = zip(letters.start.tolist(), letters.size.tolist(), strict=True)
    return tuple(raw.bytes[at : at + size].tobytes().decode("utf-16-le") for at, size in places)


def _digits(raw: RawFile, boxes: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """(counts, values): a field of one digit is its value, of several a list of references."""
    order = sorted(FIELDS)
    members = raw.members(boxes, order)[:, [order.index(field) for field in FIELDS]]
    fields = raw.extents(members.ravel())
    several = fields.are(REFERENCE)
    sizes = fields.size.reshape(members.shape)
    if (sizes != sizes[:, :1]).any() or not (several | fields.are(FLOAT64)).all():
        raise Unusual
    lengths = fields.size // 8
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    words = raw.take(np.repeat(fields.start, lengths) + 8 * within, 8).view("<i8")[:, 0]
    referred = np.repeat(several, lengths)
    words[referred] = _scalars(raw, words[referred])
    return _table(sizes[:, 0] // 8, words.view(np.float64))


def _scalars(raw: RawFile, addresses: NDArray[np.int64]) -> NDArray[np.int64]:
    """The bits of the one number in each data set."""
    found = raw.extents(addresses)
    if not found.are(FLOAT64).all() or (found.size != 8).any():
        raise Unusual
    return raw.take(found.start, 8).view("<i8")[:, 0]


def _table(
    counts: NDArray[np.int64], flat: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Field after field of each image -> a row a digit."""
    before = np.cumsum(counts) - counts
    within = np.arange(counts.sum()) - np.repeat(before, counts)
    steps = np.repeat(counts, counts)[:, None] * np.arange(len(FIELDS))
    return counts, flat[(np.repeat(before * len(FIELDS), counts) + within)[:, None] + steps]


def _slowly(file: Any, names: Any, boxes: Any) -> DigitStruct:
    """The same by h5py's usual interface, whatever the layout."""
    rows: list[NDArray[np.float64]] = []
    for box in boxes:
        fields = [file[box][field][:, 0] for field in FIELDS]
        columns = [
            [float(v if field.dtype != object else file[v][0, 0]) for v in field]
            for field in fields
        ]
        rows.append(np.array(columns).T)
    texts = tuple("".join(chr(letter) for letter in file[name][:, 0]) for name in names)
    counts = np.array([len(row) for row in rows], np.int64)
    return DigitStruct(texts, counts, np.concatenate(rows))
