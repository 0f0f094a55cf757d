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
    """No usable answer came: a verified copy in the cache may serve instead.

    If it `passes`, the next attempt may get an answer, after `wait` seconds if the Hub said so.
    """

    passes = False
    wait: float | None = None


class _EndedError(BaseException):
    """Raised inside a call of the client that has run out of time."""


@dataclass(slots=True)
class Clock:
    """The deadline of one operation, in seconds from its start; None is no deadline."""

    seconds: float | None = None
    end: float = field(init=False)
    heard: float = field(init=False)  # when something last came from the Hub

    def __post_init__(self) -> None:
        self.beat()
        self.end = float("inf") if self.seconds is None else self.heard + self.seconds

    def beat(self) -> None:
        """Say that something has come."""
        self.heard = time.monotonic()

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


def call(function: Callable[[], T], *, where: str, clock: Clock, attempts: int = ATTEMPTS) -> T:
    """What `function`, a call of the Hub's client, returns; tried again after passing failures.

    Raises:
        UnreachableError: no answer within the attempts and the deadline. HubError: a refusal.
        OfflineError: the client is in offline mode.
    """
    for attempt in range(1, attempts + 1):
        try:
            with translated(where):
                return bounded(function, clock)
        except UnreachableError as error:
            if attempt == attempts or not error.passes:
                raise
            delay = min(BACKOFF * 2 ** (attempt - 1), BACKOFF_CAP)
            if error.wait is not None:
                delay = min(error.wait, RETRY_AFTER_CAP)
            logger.info("%s: %s; trying again in %.1f s", where, error.what, delay)
            clock.sleep(delay, error.what)
    raise AssertionError("an operation has at least one attempt")


def bounded(function: Callable[[], T], clock: Clock) -> T:
    """Run `function` in a thread, and end it at the deadline or when nothing comes for long."""
    clock.beat()
    outcome: Future[T] = Future()
    thread = Thread(target=_settle, args=(outcome, copy_context().run, function), daemon=True)
    thread.start()
    try:
        while not outcome.done():
            silence = clock.heard + PATIENCE - time.monotonic()
            if silence <= 0:
                raise _passing(f"nothing came from the Hub for {PATIENCE:g} s", "")
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
            raise _passing(f"the Hub gave no complete answer: {_text(error)}", where) from None
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
    return f"{type(error).__name__}: {lines[0][:200]}".removesuffix(": ")


def _refusal(error: Any, where: str) -> HubError:
    """A status of the Hub: one that passes, or a refusal."""
    status = error.response.status_code
    said = str(error.server_message or "").strip().splitlines()
    what = f"HTTP {status}" + (f": {said[0][:200]}" if said else "")
    if status in TRANSIENT or status >= 500:
        after = error.response.headers.get("Retry-After", "").strip()
        wait = float(after) if re.fullmatch(r"\d{1,9}", after) else None
        return _passing(f"the Hub answers {what}", where, wait)
    return HubError(f"the Hub refuses with {what}", where=where, remedy=REMEDIES.get(status, ""))


def _passing(what: str, where: str, wait: float | None = None) -> UnreachableError:
    remedy = "try again later, or work from the cache with HF_HUB_OFFLINE=1"
    error = UnreachableError(what, where=where, remedy=remedy)
    error.passes, error.wait = True, wait
    return error


def api() -> Any:
    """The Hub's client, which says to the Hub who asks."""
    from huggingface_hub import HfApi

    return HfApi(library_name="attention-zoo", library_version=__version__)
