"""SVHN's `digitStruct.mat`: which digits are where in which image (MATLAB 7.3, that is HDF5)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from zoo_plugins.digits.hdf5_scalars import read_scalars

from zoo.errors import DataError

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
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
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
    names, boxes = (file[f"digitStruct/{key}"][:, 0] for key in ("name", "bbox"))
    if len(names) != len(boxes):
        raise ValueError(f"{len(names)} names, {len(boxes)} boxes")
    parts = _quickly(path, file, h5py, boxes)
    counts, values = parts if parts is not None else _slowly(file, boxes)
    return DigitStruct(tuple(_text(file, name, h5py) for name in names), counts, values)


def _text(file: Any, reference: Any, h5py: Any) -> str:
    found = h5py.h5r.dereference(reference, file.id)
    letters = np.empty(found.shape, np.uint16)
    found.read(h5py.h5s.ALL, h5py.h5s.ALL, letters, h5py.h5t.NATIVE_UINT16)
    return letters.tobytes().decode("utf-16")


def _quickly(path: Path, file: Any, h5py: Any, boxes: Any) -> Any:
    """(counts, values) by h5py's low level; None where the file is not laid out as MATLAB's.

    A field of one digit is its value, of several digits a list of references to their values.
    """
    every, reference = h5py.h5s.ALL, h5py.h5t.STD_REF_OBJ
    numbers, addresses, counts = [], [], []
    for box in boxes:
        group = h5py.h5r.dereference(box, file.id)
        fields = [h5py.h5d.open(group, field.encode()) for field in FIELDS]
        count = fields[0].get_storage_size() // 8
        several = fields[0].get_type().get_class() == h5py.h5t.REFERENCE
        for found in fields:
            if found.get_storage_size() != 8 * count:
                return None
            value, where = np.zeros((count, 1)), np.full((count, 1), -1, np.int64)
            if several:
                found.read(every, every, where, reference)
            else:
                found.read(every, every, value, h5py.h5t.NATIVE_DOUBLE)
            numbers.append(value[:, 0])
            addresses.append(where[:, 0])
        counts.append(count)
    flat, where = np.concatenate(numbers), np.concatenate(addresses)
    scalars = read_scalars(path, where[where >= 0], file.userblock_size)
    if scalars is None:
        return None
    flat[where >= 0] = scalars
    return _table(np.array(counts, np.int64), flat)


def _table(counts: NDArray[np.int64], flat: NDArray[np.float64]) -> Any:
    """Field after field of each image -> a row a digit."""
    starts = np.repeat((np.cumsum(counts) - counts) * len(FIELDS), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    steps = np.repeat(counts, counts)[:, None] * np.arange(len(FIELDS))
    return counts, flat[(starts + within)[:, None] + steps]


def _slowly(file: Any, boxes: Any) -> Any:
    """The same by h5py's usual interface, whatever the layout."""
    rows: list[NDArray[np.float64]] = []
    for box in boxes:
        fields = [file[box][field][:, 0] for field in FIELDS]
        columns = [
            [float(v if field.dtype != object else file[v][0, 0]) for v in field]
            for field in fields
        ]
        rows.append(np.array(columns).T)
    return np.array([len(row) for row in rows], np.int64), np.concatenate(rows)
