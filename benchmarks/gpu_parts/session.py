"""What all parts share: the device, the record that is written row by row, and the time left."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

from zoo.runtime.files import write_atomically

T = TypeVar("T")


@dataclass
class Session:
    """One run of the script.

    Attributes:
        dry: everything is tried on the CPU, in sizes whose times mean nothing.
        cases: the folder of reference cases.
    """

    device: torch.device
    dry: bool
    out: Path
    cases: Path
    part: str = ""
    ends: float = 0.0
    record: dict[str, Any] = field(default_factory=dict[str, Any])

    def start(self, part: str, seconds: float) -> None:
        """Begin a part, which has so many seconds."""
        self.part, self.ends = part, time.monotonic() + seconds
        self.record.setdefault("parts", {})[part] = {"rows": [], "left_out": []}
        self.write()

    @property
    def over(self) -> bool:
        """Whether the time of this part is used up."""
        return time.monotonic() > self.ends

    def add(self, **row: Any) -> None:
        """Add a row to this part, and write the record."""
        self.record["parts"][self.part]["rows"].append(row)
        self.write()

    def each(self, items: Sequence[T], name: Callable[[T], str] = str) -> Iterator[T]:
        """The items, as long as there is time; those that are left out are recorded."""
        for index, item in enumerate(items):
            if self.over:
                left_out = [name(rest) for rest in items[index:]]
                self.record["parts"][self.part]["left_out"] += left_out
                self.write()
                return
            yield item

    def attempt(self, run: Callable[[], dict[str, Any]], **row: Any) -> None:
        """Add what `run` finds to the row, or the error that it raises."""
        try:
            found = run()
        except Exception as error:  # a row that fails must not end the run
            text = " ".join(str(error).split())[:200]
            found = {"error": f"{type(error).__name__}: {text}"}
        self.add(**row, **found)
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def write(self) -> None:
        write_atomically(self.out, f"{json.dumps(self.record, indent=1)}\n".encode())

    @property
    def backend(self) -> str:
        """What `torch.compile` compiles with; on a dry run Dynamo's capture alone."""
        return "eager" if self.dry else "inductor"
