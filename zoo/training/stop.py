"""Ctrl-C in a training run: the current step is finished, so that nothing done is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether the process was asked to stop, by Ctrl-C or SIGTERM.

    If it is asked a second time, it stops at once, as it would without this.
    """
    if threading.current_thread() is not threading.main_thread():  # others cannot set handlers
        yield lambda: False
        return
    asked: list[int] = []
    before = {int(n): signal.getsignal(n) or signal.SIG_DFL for n in SIGNALS}

    def remember(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        signal.signal(number, before[number])

    for number in SIGNALS:
        signal.signal(number, remember)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
