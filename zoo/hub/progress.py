"""A progress bar for downloads, on stderr; rich is imported only when one is drawn."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(label: str, total: int, show: bool | None) -> Iterator[Callable[[int], object]]:
    """Yield a function that takes the number of bytes received so far.

    `show=None` draws on a terminal, unless `HF_HUB_DISABLE_PROGRESS_BARS` is set.
    """
    if show is None:
        show = sys.stderr.isatty() and not os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS")
    if not show:
        yield lambda received: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(label, total=total)
        yield lambda received: progress.update(task, completed=received)
