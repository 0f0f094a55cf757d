"""All runs of a comparison, one after the other on each device."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from zoo.compare.design import Arm, Comparison
from zoo.compare.folder import Folder
from zoo.compare.measuring import read_once
from zoo.compare.unit import run
from zoo.errors import ZooError
from zoo.training.run import Report
from zoo.training.stop import stop_requests

Finished = Callable[[dict[str, Any]], object]
Watch = Callable[[Arm, int], Report]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where the runs of a comparison read, compute and write.

    Attributes:
        folder: of the comparison.
        data: the folder with the images. None is where the data set looks by itself.
        workers: how many processes decode images; by default one for each core.
    """

    folder: Path
    data: Path | None = None
    workers: int | None = None


def run_all(
    comparison: Comparison, where: Where, devices: Sequence[str], finished: Finished
) -> None:
    """Do the runs that the folder lacks. Each device has a process of its own, if there are more.

    Args:
        finished: called with what each run found; with several devices, in another process.

    Raises:
        KeyboardInterrupt: it was told to stop; every step that was begun was finished and saved.
    """
    Folder(where.folder).claim(comparison)
    if len(devices) == 1:
        work(comparison, where, devices[0], finished)
    else:
        _share(comparison, where, devices, finished)
    folder = Folder(where.folder)
    if all(folder.done(arm, seed) for arm, seed in comparison.runs()):
        folder.clear()


def work(comparison: Comparison, where: Where, device: str, finished: Finished) -> None:
    """Do every run that is neither done nor another process's."""
    folder = Folder(where.folder)
    left = [(arm, seed) for arm, seed in comparison.runs() if not folder.done(arm, seed)]
    memory = read_once(comparison.recipe, where.data) if left else None
    for arm, seed in left:
        with folder.reserved(arm, seed) as mine:
            if mine and not folder.done(arm, seed):
                found = run(
                    comparison.recipe, arm, seed, folder.unfinished(arm, seed),
                    data=where.data, memory=memory, device=device, workers=where.workers,
                )  # fmt: skip
                folder.add(arm, seed, found)
                finished(found)


def _share(
    comparison: Comparison, where: Where, devices: Sequence[str], finished: Finished
) -> None:
    """A process for each device. They take runs from the same list; the folder keeps them apart."""
    context = get_context("spawn")
    problems = context.SimpleQueue()
    arguments = [(comparison, where, device, finished, problems) for device in devices]
    processes = [context.Process(target=_work_in_process, args=each) for each in arguments]
    for process in processes:
        process.start()
    with stop_requests() as asked:
        while any(process.is_alive() for process in processes):
            if asked() or not problems.empty():
                _stop(processes)
                break
            time.sleep(0.2)
    for process in processes:
        process.join()
    if not problems.empty():
        raise problems.get()
    if asked():
        raise KeyboardInterrupt("stopped, and saved")
    if any(process.exitcode for process in processes):
        raise ZooError("a process that trains ended without a word", remedy="the same call again")


def _stop(processes: Sequence[Any]) -> None:
    for process in processes:
        if process.is_alive():
            process.terminate()  # SIGTERM: the step is finished and saved


def _work_in_process(
    comparison: Comparison, where: Where, device: str, finished: Finished, problems: Any
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process passes Ctrl-C on, once
    try:
        work(comparison, where, device, finished)
    except KeyboardInterrupt:
        os._exit(0)
    except Exception as error:
        problems.put(error if isinstance(error, ZooError) else ZooError(repr(error)))
