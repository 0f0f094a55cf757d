"""Times on the device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gpu_parts.session import Session

LEAST, MOST, SECONDS = 5, 50, 0.15  # repetitions, and about how long they may take together


def milliseconds(session: Session, run: Callable[[], Any]) -> float:
    """The median time of a call, after two that warm up."""
    if session.device.type != "cuda":
        return _on_the_cpu(run)
    run()
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    torch.cuda.synchronize()
    count = int(min(max(SECONDS / (time.perf_counter() - start), LEAST), MOST))
    events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(count)]
    for before, after in events:
        before.record()
        run()
        after.record()
    torch.cuda.synchronize()
    return statistics.median(before.elapsed_time(after) for before, after in events)


def _on_the_cpu(run: Callable[[], Any]) -> float:
    run()
    start = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - start)


def forward(module: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], Any]:
    def run() -> Tensor:
        with torch.no_grad():
            return module(x)

    return run


def training(
    module: Callable[[Tensor], Tensor], parameters: list[nn.Parameter], x: Tensor
) -> Callable[[], Any]:
    """Forward, and backward to the map and to every parameter."""
    x = x.detach().requires_grad_()
    ones = torch.ones_like(x)

    def run() -> Any:
        wanted = [x, *parameters]
        return torch.autograd.grad(module(x), wanted, ones, allow_unused=True)

    return run


def copy_milliseconds(session: Session, x: Tensor) -> float:
    """The time of one read and one write of the map."""
    target = torch.empty_like(x)
    return milliseconds(session, lambda: target.copy_(x))
