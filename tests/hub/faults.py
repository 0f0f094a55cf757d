"""Faults that the server can be told to have.

A fault is a kind, the places where it strikes, and how often; None is always. Places are `info`,
`tree`, `resolve` (the Hub's answer for a file), `data` (the bytes, from the Hub or the CDN),
`commit`, `create`, `preupload`, `batch`, `upload`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock

PLACES = ("info", "tree", "resolve", "data", "commit", "create", "preupload", "batch", "upload")
KINDS = {
    "corrupt": "a byte is flipped; the length is right",
    "truncate": "half of the bytes, and the connection ends as if complete",
    "cut": "half of the bytes, then the connection is reset",
    "close": "half of the bytes, then the connection is closed",
    "no_size": "the answer for a file does not say how large it is",
    "stall": "half of the bytes, then silence",
    "reset": "the connection is reset before any answer",
    "long": "more bytes than there should be",
    "flood": "bytes without end, as long as anyone reads; counted in `hub.sent`",
    "html": "a page of HTML with status 200 and no length",
    "status": "an HTTP error: `status`, with `headers`",
    "range": "resumed answers begin at the wrong place and claim the right one",
    "no_range": "resumed answers begin at zero, with status 200",
    "stale_etag": "the previous commit's ETag, with this commit's bytes",
    "hostile_etag": "an ETag that walks out of the cache",
    "move": "the branch moves after this answer",
    "lost": "the request is carried out, and its answer lost",
    "gzip_bomb": "a small compressed body that grows without end",
    "plain": "the answer for a repository lists names only, no digests",
    "junk": "JSON of the wrong shape",
    "alter": "what is committed is kept changed",
    "drip": "a byte at a time, slowly",
}


@dataclass
class Fault:
    kind: str
    places: tuple[str, ...]
    times: int | None = None
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)


class Faults:
    """The faults that are switched on; each `take` of a limited one uses it up by one."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = Lock()

    def add(self, kind: str, *places: str, **options: object) -> None:
        if kind not in KINDS or not set(places) <= set(PLACES):
            raise ValueError(f"no fault {kind!r} at {places}")
        self._faults.append(Fault(kind, places or ("data",), **options))

    def clear(self) -> None:
        self._faults.clear()

    def take(self, place: str, kinds: Iterable[str] = KINDS) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.kind in kinds and place in fault.places and fault.times != 0:
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None
