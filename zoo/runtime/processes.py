"""One process, or one of several under `torchrun` or `accelerate launch`."""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass
from typing import Any

import torch

from zoo.runtime.device import find_device


def is_main() -> bool:
    """Whether this process is the one that prints and writes."""
    return os.environ.get("RANK", "0") == "0"


@dataclass(frozen=True, slots=True)
class Processes:
    """This process's number, how many there are, and the device that is its own."""

    rank: int
    count: int
    device: torch.device

    def gather(self, value: Any) -> list[Any]:
        """`value` of every process, in order, on each of them."""
        if self.count == 1:
            return [value]
        from accelerate.utils import gather_object

        return gather_object([value])


def join(device: str | torch.device | None = None) -> Processes:
    """Join the other processes, if the environment says that there are any."""
    wanted = find_device(device)
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Processes(0, 1, wanted)
    from accelerate import PartialState

    ours = not torch.distributed.is_initialized()
    state = PartialState(cpu=wanted.type == "cpu")
    if ours:
        atexit.register(state.destroy_process_group)
    own: Any = state.device if wanted.type == "cuda" and wanted.index is None else wanted
    return Processes(state.process_index, state.num_processes, own)
