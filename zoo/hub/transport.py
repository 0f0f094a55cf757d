"""One HTTP read from the Hub: streamed, resumed, retried, bounded, and cut off at a deadline.

The session, headers and endpoint are the Hub client's own. Its download function is not used: it
names files by what the server says, follows `Retry-After` however long, does not retry a CDN's 5xx
and lets the transport's errors through.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, BinaryIO

from zoo.errors import HubError, OfflineError
from zoo.version import __version__

logger = logging.getLogger("zoo.hub")

RETRIES = 4  # failures in a row, without a byte received
ATTEMPTS = 25  # in all, so that a server that drips cannot keep us
BACKOFF, BACKOFF_CAP, RETRY_AFTER_CAP = 0.5, 8.0, 30.0  # seconds
JSON_LIMIT = 32 * 2**20
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


class UnreachableError(HubError):
    """No usable answer came (network, time-out, 5xx): a verified copy may serve instead."""


class TooLongError(HubError):
    """More bytes came than there should be."""


class _TransientError(Exception):
    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass(slots=True)
class Clock:
    """The overall deadline of one operation, in seconds from its start; None is no deadline."""

    seconds: float | None = None
    end: float = field(init=False)

    def __post_init__(self) -> None:
        self.end = float("inf") if self.seconds is None else time.monotonic() + self.seconds

    def left(self, at_most: float, after: str = "") -> float:
        """Seconds that may still be spent, `at_most` so many; `UnreachableError` if none."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise UnreachableError(
                f"the Hub took longer than the deadline of {self.seconds:g} s"
                + (f": {after}" if after else ""),
                remedy="give a longer deadline=, or try again",
            )
        return min(at_most, left)

    def sleep(self, seconds: float, after: str) -> None:
        """Wait because of what happened before, `after`; not beyond the deadline."""
        time.sleep(self.left(seconds, after))
        self.left(0, after)


def read_json(url: str, *, clock: Clock, retries: int = RETRIES) -> Any:
    """The JSON document at `url`; a page that is not JSON, twice, counts as no answer."""
    for wait in (BACKOFF, 0.0):
        body = BytesIO()
        download(url, body, clock=clock, limit=JSON_LIMIT, retries=retries)
        try:
            return json.loads(body.getvalue())
        except (ValueError, RecursionError):
            clock.sleep(wait, "an answer that is not JSON")
    raise UnreachableError("the answer is not JSON, so it is no Hub that answers", where=url)


def download(
    url: str,
    sink: BinaryIO,
    *,
    clock: Clock,
    limit: int,
    size: int | None = None,
    retries: int = RETRIES,
    progress: Callable[[int], object] = lambda received: None,
) -> None:
    """Write what `url` answers into `sink`, from its start; at most `limit` bytes.

    Interrupted reads resume where they stopped. `size`, if known, must be reached exactly.

    Raises:
        UnreachableError: no complete answer within the retries and the deadline.
        HubError: the server refuses (401, 403, 404, ...), or sends more than `limit`.
        OfflineError: the Hub client is in offline mode.
    """
    failures = 0
    for attempt in range(ATTEMPTS):
        before = sink.tell()
        try:
            return _attempt(url, sink, clock, limit, size, progress)
        except _TransientError as error:
            failures = 1 if sink.tell() > before else failures + 1
            if failures > retries or attempt == ATTEMPTS - 1:
                raise UnreachableError(
                    f"the Hub gave no complete answer in {attempt + 1} attempts: {error}",
                    where=url,
                    remedy="try again later, or work from the cache with HF_HUB_OFFLINE=1",
                ) from None
            wait = min(BACKOFF * 2 ** (failures - 1), BACKOFF_CAP)
            if error.wait is not None:
                wait = min(max(error.wait, 0.0), RETRY_AFTER_CAP)
            logger.info("%s: %s; trying again in %.1f s", url, error, wait)
            clock.sleep(wait, str(error))


def _attempt(
    url: str,
    sink: BinaryIO,
    clock: Clock,
    limit: int,
    size: int | None,
    progress: Callable[[int], object],
) -> None:
    offset = sink.tell()
    if size is not None and offset == size:
        return
    with _stream(url, offset, clock) as response:
        _check_status(url, response, sink)
        if size is not None and response.headers.get("Content-Encoding", "identity") != "identity":
            raise _TransientError("the answer is compressed, which was not asked for")
        if not _continues(response, offset):
            sink.seek(0)
            sink.truncate()
        for chunk in response.iter_bytes():
            sink.write(chunk)
            if sink.tell() > limit:
                raise TooLongError(f"more than the expected {limit} bytes came", where=url)
            progress(sink.tell())
            clock.left(0)
    if size is not None and sink.tell() != size:
        raise _TransientError(f"the answer ended after {sink.tell()} of {size} bytes")


@contextmanager
def _stream(url: str, offset: int, clock: Clock) -> Iterator[Any]:
    """The open response; everything that the transport raises becomes ours."""
    from huggingface_hub import constants, get_session
    from huggingface_hub.errors import OfflineModeIsEnabled

    httpx = http_library()
    headers = _headers(offset)
    timeout = clock.left(constants.HF_HUB_DOWNLOAD_TIMEOUT)
    try:
        with get_session().stream("GET", url, headers=headers, timeout=timeout) as response:
            yield response
    except OfflineModeIsEnabled:
        raise OfflineError("the Hub client is in offline mode", where=url) from None
    except (httpx.TimeoutException, httpx.NetworkError, httpx.ProtocolError) as error:
        raise _TransientError(f"{type(error).__name__}: {error}") from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise HubError(f"the Hub cannot be read: {error}", where=url) from None


def _headers(offset: int) -> dict[str, str]:
    from huggingface_hub.utils import build_hf_headers

    try:
        headers = build_hf_headers(library_name="attention-zoo", library_version=__version__)
    except OSError as error:
        raise HubError(
            f"the Hub's token cannot be read: {error}", remedy="hf auth login, or set HF_TOKEN"
        ) from None
    headers["Accept-Encoding"] = "identity"
    return headers | ({"Range": f"bytes={offset}-"} if offset else {})


def http_library() -> Any:
    """The HTTP library of the installed Hub client: httpx2 since its 2.x, httpx before."""
    try:
        import httpx2
    except ImportError:  # pragma: no cover
        import httpx as httpx2  # pyright: ignore[reportMissingImports]
    return httpx2


def _check_status(url: str, response: Any, sink: BinaryIO) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    if status == 416:  # what we hold is not a beginning of what is there
        sink.seek(0)
        sink.truncate()
        raise _TransientError("the server cannot resume")
    if status in TRANSIENT:
        raise _TransientError(f"HTTP {status}", _retry_after(response.headers.get("Retry-After")))
    said = response.headers.get("X-Error-Message") or response.headers.get("X-Error-Code") or ""
    raise HubError(
        f"the Hub refuses with HTTP {status}" + (f": {said[:200]}" if said else ""),
        where=url,
        remedy=_REMEDIES.get(status, ""),
    )


_REMEDIES = {
    401: "check the repository's name; for a private or gated one, `hf auth login`",
    403: "ask for access on the repository's page, then `hf auth login`",
    404: "check the repository, revision and file name",
}


def _retry_after(value: str | None) -> float | None:
    return float(value) if value and re.fullmatch(r"\d{1,9}", value.strip()) else None


def _continues(response: Any, offset: int) -> bool:
    if offset == 0:
        return response.status_code == 200
    content_range = response.headers.get("Content-Range", "")
    return response.status_code == 206 and content_range.startswith(f"bytes {offset}-")
