"""Which device to run on, and in which precision it gains."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from zoo.errors import UsageError, ZooWarning


def find_device(device: str | torch.device | None = None) -> torch.device:
    """The device that is asked for, else CUDA, else the CPU.

    Raises:
        UsageError: there is no device of that name, or none on this machine.
    """
    if device is None or device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"device {str(device)!r} cannot be used: {str(error).splitlines()[0]}",
            remedy="--device cpu, or cuda, or cuda:1",
        ) from error
    if found.type == "meta":
        raise UsageError("device 'meta' computes nothing", remedy="--device cpu")
    return found


def autocast_dtype(device: torch.device, amp: bool | None = None) -> torch.dtype | None:
    """The precision of autocast, or None for float32.

    If nobody asks, CUDA devices with tensor cores take float16. If asked, a CPU takes bfloat16
    where it has the instructions for it. Without them bfloat16 is slower, so the CPU stays with
    float32.
    """
    if amp is False:
        return None
    if device.type == "cuda":
        return torch.float16 if amp or torch.cuda.get_device_capability(device) >= (7, 0) else None
    if amp is None:
        return None
    if device.type == "cpu" and not cpu_has_bfloat16():
        warnings.warn(
            "this CPU has no bfloat16 instructions; staying with float32", ZooWarning, stacklevel=2
        )
        return None
    return torch.bfloat16 if device.type == "cpu" else torch.float16


def cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 itself (AVX512-BF16, AMX)."""
    checks: list[Any] = [
        getattr(torch.cpu, name, None)
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    ]
    return any(check() for check in checks if check is not None)


def device_name(device: torch.device) -> str:
    """What the hardware is called, where that is known."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
