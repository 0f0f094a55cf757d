"""Many HDF5 data sets of one float64 each, read at once.

MATLAB keeps every number of a struct array in a data set of its own, half a million of them in
SVHN; the library opens each in 20 microseconds and more. Here their object headers are decoded
together (HDF5 File Format Specification 3.0, IV.A.1.a: version 1, as MATLAB writes them). Whatever
looks otherwise is left to the library.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Words = NDArray[np.int64]

_FLOAT64 = np.frombuffer(b"\x11\x20\x3f\x00\x08\0\0\0", np.uint8)  # little-endian IEEE, 8 bytes
_PREFIX, _MESSAGE = 16, 8  # bytes before the messages, and before each message's content
_DATATYPE, _LAYOUT = 3, 8
_COMPACT, _CONTIGUOUS = 0, 1
_MOST_MESSAGES = 16


def read_scalars(path: str | os.PathLike[str], addresses: Words, base: int) -> NDArray | None:
    """The float64 at each object header's address (from `base`), or None: ask the library."""
    if not len(addresses):
        return np.empty(0)
    raw = np.memmap(path, np.uint8, "r")
    place = addresses + base
    if place.min() < 0 or place.max() + _PREFIX > len(raw) or (raw[place] != 1).any():
        return None
    found = _messages(raw, place)
    if (found[_DATATYPE] < 0).any() or (found[_LAYOUT] < 0).any():
        return None
    if (_take(raw, found[_DATATYPE], 8) != _FLOAT64).any():
        return None
    start = _data(raw, found[_LAYOUT], base)
    if (start < 0).any() or start.max() + 8 > len(raw):
        return None
    return _take(raw, start, 8).copy().view("<f8")[:, 0]


def _messages(raw: Bytes, place: Words) -> dict[int, Words]:
    """Where the content of each header's datatype and layout messages is; -1: not there."""
    count = _number(raw, place + 2, 2)
    end = place + _PREFIX + _number(raw, place + 8, 4)
    at = place + _PREFIX
    found = {kind: np.full(len(place), -1) for kind in (_DATATYPE, _LAYOUT)}
    for n in range(min(_MOST_MESSAGES, int(count.max()))):
        there = (n < count) & (at + _MESSAGE <= end) & (end <= len(raw))
        safe = np.where(there, at, place)
        kind, size = _number(raw, safe, 2), _number(raw, safe + 2, 2)
        for wanted, where in found.items():
            where[there & (kind == wanted)] = (at + _MESSAGE)[there & (kind == wanted)]
        at = np.where(there, at + _MESSAGE + size, at)
    return found


def _data(raw: Bytes, layout: Words, base: int) -> Words:
    """Where the data of each layout message (version 3) is; -1: in no way known here."""
    version, kind = raw[layout], raw[layout + 1]
    address = _number(raw, layout + 2, 8) + base
    place = np.where(kind == _COMPACT, layout + 4, np.where(kind == _CONTIGUOUS, address, -1))
    return np.where(version == 3, place, -1)


def _number(raw: Bytes, place: Words, size: int) -> Words:
    """Little-endian numbers of `size` bytes."""
    digits = _take(raw, place, size).astype(np.int64)
    return (digits << (8 * np.arange(size))).sum(1)


def _take(raw: Bytes, place: Words, size: int) -> Bytes:
    return np.asarray(raw)[np.minimum(place[:, None] + np.arange(size), len(raw) - 1)]
