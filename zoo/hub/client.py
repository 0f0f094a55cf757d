"""Calls of the Hub's client: bounded in time, tried again, and their errors turned into ours.

The client waits as long as a server tells it to, and reads as slowly as a server sends. So each of
its calls runs in a thread of its own, which is ended when the time is up. What the client raises
is either a refusal by the Hub (`HubError`), or else there is no usable answer
(`UnreachableError`): then a verified copy in the cache may serve.
"""

from __future__ import annotations

import ctypes
import logging
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, TypeVar

from zoo.errors import HubError, OfflineError, ZooError
from zoo.version import __version__

logger = logging.getLogger("zoo.hub")
T = TypeVar("T")

ATTEMPTS = 5
BACKOFF, BACKOFF_CAP, RETRY_AFTER_CAP = 0.5, 8.0, 30.0  # seconds
PATIENCE = 300.0  # seconds in which something must come; a download reports every ten megabytes
GRACE = 2.0  # seconds for an ended call to close its files
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
REMEDIES = {
    401: "check the repository's name; for a private or gated one, `hf auth login`",
    403: "ask for access on the page of the repository, then `hf auth login`; to publish, with a "
    "token that may write",
    404: "check the repository, revision and file name",
}
SETTINGS = "check HF_ENDPOINT, HF_TOKEN, SSL_CERT_FILE and the proxies (HTTPS_PROXY, ALL_PROXY)"


class UnreachableError(HubError):
    """No usable answer came: a verified copy in the cache may serve instead."""


class PassingError(UnreachableError):
    """No usable answer came, but the next attempt may get one, after `wait` seconds."""

    wait: float | None = None


class _EndedError(BaseException):
    """Raised inside a call of the client that has run out of time."""


@dataclass(slots=True)
class Clock:
    """The deadline of one operation, in seconds from its start; None is no deadline."""

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


class Pulse:
    """When something last came from the Hub."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def beat(self) -> None:
        self.last = time.monotonic()


def call(
    function: Callable[[], T],
    *,
    where: str,
    clock: Clock,
    attempts: int = ATTEMPTS,
    pulse: Pulse | None = None,
) -> T:
    """What `function`, a call of the Hub's client, returns; tried again after passing failures.

    Raises:
        UnreachableError: no answer within the attempts and the deadline. HubError: a refusal.
        OfflineError: the client is in offline mode.
    """
    for attempt in range(1, attempts + 1):
        try:
            with translated(where):
                return bounded(function, clock, pulse)
        except PassingError as error:
            if attempt == attempts:
                raise
            delay = min(BACKOFF * 2 ** (attempt - 1), BACKOFF_CAP)
            if error.wait is not None:
                delay = min(error.wait, RETRY_AFTER_CAP)
            logger.info("%s: %s; trying again in %.1f s", where, error.what, delay)
            clock.sleep(delay, error.what)
    raise AssertionError("an operation has at least one attempt")


def bounded(function: Callable[[], T], clock: Clock, pulse: Pulse | None = None) -> T:
    """Run `function` in a thread, and end it at the deadline or when nothing comes for long."""
    pulse = pulse or Pulse()
    pulse.beat()
    outcome: Future[T] = Future()
    thread = Thread(target=_settle, args=(outcome, copy_context().run, function), daemon=True)
    thread.start()
    try:
        while not outcome.done():
            silence = pulse.last + PATIENCE - time.monotonic()
            if silence <= 0:
                raise PassingError(f"nothing came from the Hub for {PATIENCE:g} s")
            wait([outcome], timeout=clock.left(silence))
        return outcome.result()
    except BaseException:
        _end(thread)
        raise


def _settle(outcome: Future[Any], run: Callable[..., Any], function: Callable[[], Any]) -> None:
    try:
        outcome.set_result(run(function))
    except BaseException as error:
        outcome.set_exception(error)


def _end(thread: Thread) -> None:
    """Raise an exception in a thread, so that it closes what it holds; then leave it alone.

    A thread that waits for the operating system sees the exception when that returns, which for
    reads is the client's own time-out.
    """
    if thread.is_alive() and thread.ident is not None:
        ended = ctypes.py_object(_EndedError)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ended)
        thread.join(GRACE)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Errors of the Hub's client, of its HTTP library and of its settings become the project's."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    passing = (
        httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError,
        httpx2.DecodingError, RuntimeError,  # Xet's errors, and those of a session just closed
    )  # fmt: skip
    try:
        yield
    except ZooError:
        raise
    except Exception as raised:
        error = _origin(raised)
        if isinstance(error, OfflineModeIsEnabled):
            raise OfflineError("the Hub client is in offline mode", where=where) from None
        if isinstance(error, HfHubHTTPError):
            raise _refusal(error, where) from None
        if isinstance(error, passing) or _is_short(error):
            raise PassingError(f"the Hub gave no complete answer: {_text(error)}", where=where,
                               remedy="try again later, or work from the cache with "
                               "HF_HUB_OFFLINE=1") from None  # fmt: skip
        raise UnreachableError(
            f"the Hub cannot be asked: {_text(error)}", where=where, remedy=SETTINGS
        ) from None


def _origin(error: BaseException) -> BaseException:
    """What lies behind the client's "cannot find it locally" and "due to the above error"."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    while type(error) in (ValueError, LocalEntryNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _is_short(error: BaseException) -> bool:
    """Whether an answer was cut short, or is no answer of a Hub but a page of something else."""
    from json import JSONDecodeError

    return isinstance(error, JSONDecodeError) or (
        isinstance(error, OSError) and error.errno is None and "Consistency check" in str(error)
    )


def _text(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    text = re.sub(r"Bearer [^'\"\s]+", "Bearer ...", lines[0])[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _refusal(error: Any, where: str) -> HubError:
    """A status of the Hub: one that passes, or a refusal."""
    status = error.response.status_code
    said = str(error.server_message or "").strip().splitlines()
    what = f"HTTP {status}" + (f": {said[0][:200]}" if said else "")
    if status in TRANSIENT or status >= 500:
        passing = PassingError(f"the Hub answers {what}", where=where, remedy="try again later")
        after = error.response.headers.get("Retry-After", "").strip()
        passing.wait = float(after) if re.fullmatch(r"\d{1,9}", after) else None
        return passing
    return HubError(f"the Hub refuses with {what}", where=where, remedy=REMEDIES.get(status, ""))


def api() -> Any:
    """The Hub's client, which says to the Hub who asks."""
    from huggingface_hub import HfApi

    return HfApi(library_name="attention-zoo", library_version=__version__)
