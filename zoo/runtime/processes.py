"""One process, or one of several that `torchrun` or `accelerate launch` started."""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass
from typing import Any

import torch

from zoo.errors import UsageError
from zoo.runtime.device import find_device


def is_main() -> bool:
    """Whether this process is the one that prints and writes."""
    return launched()[0] == 0


@dataclass(frozen=True, slots=True)
class Processes:
    """This process's number, the number of processes, and the device of this one."""

    rank: int
    count: int
    device: torch.device

    def gather(self, value: Any) -> list[Any]:
        """The `value` of every process, in order, on each of them."""
        if self.count == 1:
            return [value]
        from accelerate.utils import gather_object

        return gather_object([value])


def join(device: str | torch.device | None = None) -> Processes:
    """Join the other processes, if the environment says that there are any.

    Raises:
        UsageError: the environment says so, but not everything that is needed to find them.
    """
    rank, count = launched()
    wanted = find_device(device)
    if count < 2:
        return Processes(0, 1, wanted)
    from accelerate import PartialState

    ours = not torch.distributed.is_initialized()
    state = PartialState(cpu=wanted.type == "cpu")
    if (state.process_index, state.num_processes) != (rank, count):
        raise _unclear(f"process {rank} of {count} runs by itself")
    if ours:
        atexit.register(state.destroy_process_group)
    own: Any = state.device if wanted.type == "cuda" and wanted.index is None else wanted
    return Processes(state.process_index, state.num_processes, own)


def cores() -> int:
    """The number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def launched() -> tuple[int, int]:
    """(number of this process, how many there are), as a launcher's environment says.

    `RANK` without `WORLD_SIZE` is another program's variable: one process, which prints.

    Raises:
        UsageError: they contradict each other, or some of them are absent.
    """
    count = _whole("WORLD_SIZE", 1)
    if count < 2:
        return 0, 1
    needed = ("RANK", "MASTER_ADDR", "MASTER_PORT")
    absent = [name for name in needed if not os.environ.get(name)]
    if absent and not torch.distributed.is_initialized():
        raise _unclear(f"WORLD_SIZE={count} without {', '.join(absent)}")
    rank = _whole("RANK", 0)
    if not 0 <= rank < count:
        raise _unclear(f"RANK={rank} is none of {count} processes")
    return rank, count


def _whole(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    try:
        return int(text)
    except ValueError:
        raise _unclear(f"{name}={text!r} is no whole number") from None


def _unclear(what: str) -> UsageError:
    return UsageError(
        what,
        where="the environment",
        remedy="torchrun --nproc-per-node N -m zoo ..., or unset WORLD_SIZE for one process",
    )
