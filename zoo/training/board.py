"""What is told of a run while it goes on: progress on stderr, and TensorBoard where asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import UsageError
from zoo.training.loop import Trainer
from zoo.training.progress import Progress

FOLDER = "tensorboard"

Report = Callable[[Trainer, dict[str, float]], None]


@contextmanager
def reporting(out: Path | None, quiet: bool = False) -> Iterator[Report]:
    """Give what `zoo.training.run.train` takes as `report`.

    Args:
        out: the folder of the run, if TensorBoard is to have the curve too.
        quiet: show no progress; of several processes, only one writes.

    Raises:
        UsageError: tensorboard is not installed.
    """
    with Progress(quiet) as progress:
        if out is None or quiet:
            yield progress
            return
        with _board(out / FOLDER) as write:

            def both(trainer: Trainer, row: dict[str, float]) -> None:
                progress(trainer, row)
                write(trainer, row)

            yield both


@contextmanager
def _board(folder: Path) -> Iterator[Report]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError(
            "tensorboard is not installed", remedy="pip install 'attention-zoo[train]'"
        ) from error
    writers: list[SummaryWriter] = []  # the folder is made with the first epoch, not before

    def write(trainer: Trainer, row: dict[str, float]) -> None:
        if "epoch" not in row:
            return
        if not writers:
            writers.append(SummaryWriter(str(folder), purge_step=int(row["step"])))
        for name, value in row.items():
            if name not in ("epoch", "step"):
                writers[0].add_scalar(name, value, int(row["step"]))
        writers[0].add_scalar("lr", trainer.optimizer.param_groups[0]["lr"], int(row["step"]))
        writers[0].flush()

    try:
        yield write
    finally:
        for writer in writers:
            writer.close()
