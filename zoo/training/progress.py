"""The progress of a run on stderr: a bar on a terminal, elsewhere a line from time to time."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from zoo.training.loop import Trainer

EVERY = 10.0  # seconds between lines


class Progress:
    """A context whose value is given to `zoo.training.run.train` as `report`."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.bar: Any = None
        self.said = float("-inf")  # when the last line was

    def __enter__(self) -> Self:
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[said]}"),
            )
            self.bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
            self.bar.start()
            self.bar.add_task("training", total=None, said="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, trainer: Trainer, row: dict[str, float]) -> None:
        ended = "epoch" in row
        if self.bar is not None:
            said = {"said": _line(row)} if ended else {}
            self.bar.update(0, completed=trainer.step, total=trainer.total_steps, **said)
        elif not self.quiet and (ended or time.monotonic() - self.said > EVERY):
            self.said = time.monotonic()
            with suppress(OSError):  # a log on a full disk does not end the run
                print(
                    _epoch(trainer, row) if ended else _step(trainer), file=sys.stderr, flush=True
                )


def _epoch(trainer: Trainer, row: dict[str, float]) -> str:
    return f"{trainer.epoch}/{trainer.recipe.epochs} {_line(row)}"


def _step(trainer: Trainer) -> str:
    """Within an epoch: how far the run is, and the mean loss of the epoch so far."""
    done = trainer.step % trainer.steps_per_epoch
    loss = float(trainer.sums["loss"]) / done
    return f"step {trainer.step} of {trainer.total_steps}  loss {loss:.4g}"


def _line(row: dict[str, float]) -> str:
    return "  ".join(f"{k} {v:.4g}" for k, v in row.items() if k not in ("epoch", "step"))
