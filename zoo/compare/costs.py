"""What each arm costs on this device: parameters, multiplications, latency and memory."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from zoo.runtime.device import device_name
from zoo.runtime.multiplications import count_macs

ROUNDS, WARMUP = 60, 3
LEAST_SECONDS = 0.002  # a timing is of as many calls as take this long


def costs(
    models: Mapping[str, nn.Module], size: tuple[int, ...], batch_size: int, device: torch.device
) -> dict[str, dict[str, Any]]:
    """The costs of each model by its name.

    - `parameters`: their number.
    - `macs`: multiply-accumulates of convolutions and matrix products for one image.
    - `latency_ms`: of one image without gradients, the median over 60 rounds. In each round all
      models are timed one after the other, each round in another order, so that what else the
      machine does meets them alike. On a CPU it is the time that one thread computes, so that
      other programs do not count.
    - `memory_mb`: the most that one training step on a batch allocates beyond what the model holds,
      in 2^20 bytes.

    Args:
        size: (C, H, W) of an image.
        batch_size: of the training step.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, model in models.items():
        model.to(device)
        found[name] = {
            "parameters": sum(p.numel() for p in model.parameters()),
            "macs": _macs(model, torch.rand(1, *size, device=device)),
            "memory_mb": round(_memory(model, (batch_size, *size), device) / 2**20, 2),
        }
    with _one_thread():
        for name, seconds in _latencies(models, torch.rand(1, *size, device=device)).items():
            found[name]["latency_ms"] = round(1000 * seconds, 4)
    return found


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def machine(device: torch.device, batch_size: int) -> dict[str, Any]:
    """What the costs were measured on."""
    return {
        "device": device_name(device), "processor": platform.processor() or platform.machine(),
        "torch": torch.__version__, "batch_size": batch_size,
    }  # fmt: skip


@torch.no_grad()
def _macs(model: nn.Module, image: Tensor) -> int:
    return count_macs(lambda: model.eval()(image))[0]


def _memory(model: nn.Module, shape: tuple[int, ...], device: torch.device) -> int:
    """The peak of what a training step allocates, in bytes; the model stays as it was."""
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    images = torch.rand(shape, device=device)
    model.train()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        _step(model, images)
        peak = torch.cuda.max_memory_allocated(device) - before
    else:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            _step(model, images)
        peak = _peak(profiler)
    model.zero_grad(set_to_none=True)
    model.load_state_dict(state)
    return peak


def _step(model: nn.Module, images: Tensor) -> None:
    logits = model(images)
    labels = torch.zeros(len(images), dtype=torch.long, device=images.device)
    F.cross_entropy(logits, labels).backward()


def _peak(profiler: Any) -> int:
    """The most bytes that were allocated at once, by the records of PyTorch's allocator."""
    now = most = 0
    events = profiler.profiler.kineto_results.events()
    changes = ((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    for _, change in sorted(changes, key=lambda each: each[0]):
        now += change
        most = max(most, now)
    return most


@torch.inference_mode()
def _latencies(models: Mapping[str, nn.Module], image: Tensor) -> dict[str, float]:
    """The median seconds of a call of each model."""
    for model in models.values():
        model.eval()
    calls = {name: _calls(model, image) for name, model in models.items()}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    names = list(models)
    for number in range(ROUNDS):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            seconds[name].append(_timed(models[name], image, calls[name]))
    return {name: median(each) for name, each in seconds.items()}


def _calls(model: nn.Module, image: Tensor) -> int:
    """So many calls that they can be timed."""
    _timed(model, image, WARMUP)
    return max(1, round(LEAST_SECONDS / _timed(model, image, WARMUP)))


def _timed(model: nn.Module, image: Tensor, calls: int) -> float:
    clock = time.thread_time if image.device.type == "cpu" else time.perf_counter
    _wait(image)
    start = clock()
    for _ in range(calls):
        model(image)
    _wait(image)
    return (clock() - start) / calls


def _wait(image: Tensor) -> None:
    if image.is_cuda:
        torch.cuda.synchronize(image.device)
