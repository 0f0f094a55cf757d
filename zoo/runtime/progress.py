"""A progress bar on stderr. The library rich is imported only when a bar is drawn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(label: str, total: int, show: bool | None = None) -> Iterator[Callable[[int, str], object]]:
    """Yield a function that is called with (images so far, a note).

    Args:
        show: whether to draw a bar. None draws one on a terminal only.
    """
    if show is None:
        show = sys.stderr.isatty()
    if not show:
        yield lambda done, note: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, "{task.fields[note]}", console=Console(stderr=True)) as progress:
        task = progress.add_task(label, total=total, note="")
        yield lambda done, note: progress.update(task, completed=done, note=note)
