"""Many small HDF5 objects, read at once.

MATLAB keeps every number of a struct array in a data set of its own, and every struct in a group:
a million of them in SVHN. The library opens each in 20 microseconds and more. Here the object
headers are decoded together (HDF5 File Format Specification 3.0: version 1 of object headers,
IV.A.1.a; groups as symbol tables, III.A to III.D; as MATLAB writes them). Whatever looks otherwise
is `Unusual`, and left to the library.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Words = NDArray[np.int64]

FLOAT64 = b"\x11\x20\x3f\x00\x08\0\0\0"  # datatypes: little-endian IEEE of 8 bytes
REFERENCE = b"\x17\0\0\0\x08\0\0\0"
UINT16 = b"\x10\0\0\0\x02\0\0\0"

_PREFIX, _MESSAGE = 16, 8  # bytes before the messages, and before each message's content
_DATATYPE, _LAYOUT, _CONTINUATION, _SYMBOL_TABLE = 3, 8, 16, 17
_COMPACT, _CONTIGUOUS = 0, 1
_MOST_MESSAGES = 16
_ENTRIES, _ENTRY = 8, 40  # bytes before a symbol table node's entries, and of each


class Unusual(Exception):
    """The file is not laid out as MATLAB's: ask the library."""


@dataclass(frozen=True, slots=True)
class Extents:
    """Of N data sets: datatype (N, 8) bytes, where in the file the data begin, how many bytes."""

    datatype: Bytes
    start: Words
    size: Words

    def are(self, datatype: bytes) -> NDArray[np.bool_]:
        return (self.datatype == np.frombuffer(datatype, np.uint8)).all(1)


class RawFile:
    """The bytes of an HDF5 file; addresses are as the file writes them, after its user block."""

    def __init__(self, path: str | os.PathLike[str], base: int) -> None:
        self.bytes: Bytes = np.asarray(np.memmap(path, np.uint8, "r"))
        self.base = base

    def members(self, groups: Words, names: Sequence[str]) -> Words:
        """(N, len(names)): addresses of the members of groups that have just these, sorted."""
        (table,) = self._messages(groups + self.base, (_SYMBOL_TABLE,))
        tree, heap = (self.number(table + at, 8) + self.base for at in (0, 8))
        letters = self.number(heap + 24, 8) + self.base
        self._expect(tree, b"TREE\0\0\1\0")  # of groups, a leaf, one child
        node = self.number(tree + 32, 8) + self.base
        self._expect(node, b"SNOD\1\0" + len(names).to_bytes(2, "little"))
        found = np.empty((len(groups), len(names)), np.int64)
        for i, name in enumerate(names):
            entry = node + _ENTRIES + _ENTRY * i
            self._expect(letters + self.number(entry, 8), name.encode() + b"\0")
            found[:, i] = self.number(entry + 8, 8)
        return found

    def extents(self, datasets: Words) -> Extents:
        """Of data sets whose data lie in one piece, in the header or elsewhere."""
        kind, layout = self._messages(datasets + self.base, (_DATATYPE, _LAYOUT))
        head = self.take(layout, 2)
        compact = head[:, 1] == _COMPACT
        if (head[:, 0] != 3).any() or not (compact | (head[:, 1] == _CONTIGUOUS)).all():
            raise Unusual
        start, size = layout + 4, self.number(layout + 2, 2)
        apart = layout[~compact]
        start[~compact] = self.number(apart + 2, 8) + self.base
        size[~compact] = self.number(apart + 10, 8)
        if len(size) and (size.min() < 0 or (start + size).max() > len(self.bytes)):
            raise Unusual
        return Extents(self.take(kind, 8), start, size)

    def number(self, place: Words, size: int) -> Words:
        """Little-endian numbers of `size` bytes."""
        digits = self.take(place, size).astype(np.int64)
        return (digits << (8 * np.arange(size))).sum(1)

    def take(self, place: Words, size: int) -> Bytes:
        """(N, size) bytes."""
        if len(place) and (place.min() < 0 or place.max() + size > len(self.bytes)):
            raise Unusual
        return self.bytes[place[:, None] + np.arange(size)]

    def _expect(self, place: Words, wanted: bytes) -> None:
        if (self.take(place, len(wanted)) != np.frombuffer(wanted, np.uint8)).any():
            raise Unusual

    def _messages(self, place: Words, kinds: Sequence[int]) -> list[Words]:
        """Where the content of each header's message of these kinds is."""
        self._expect(place, b"\1")
        count = self.number(place + 2, 2)
        at, end = place + _PREFIX, place + _PREFIX + self.number(place + 8, 4)
        more, more_end = np.full(len(place), -1), end  # where the header goes on
        found = [np.full(len(place), -1) for _ in kinds]
        for n in range(min(_MOST_MESSAGES, int(count.max(initial=0)))):
            on = (at + _MESSAGE > end) & (more >= 0)
            at, end = np.where(on, more, at), np.where(on, more_end, end)
            more = np.where(on, -1, more)
            there = (n < count) & (at + _MESSAGE <= end)
            safe = np.where(there, at, place)
            kind, size = self.number(safe, 2), self.number(safe + 2, 2)
            for wanted, where in zip(kinds, found, strict=True):
                chosen = there & (kind == wanted)
                where[chosen] = at[chosen] + _MESSAGE
            goes_on = there & (kind == _CONTINUATION)
            if goes_on.any():
                content = np.where(goes_on, at + _MESSAGE, place)
                start = self.number(content, 8) + self.base
                more = np.where(goes_on, start, more)
                more_end = np.where(goes_on, start + self.number(content + 8, 8), more_end)
            at = np.where(there, at + _MESSAGE + size, at)
        if any((where < 0).any() for where in found):
            raise Unusual
        return found
