"""Whether a kernel takes the place of the plain expression."""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from zoo.sdk.fused.layout import lies_in_order

SWITCH = "ZOO_FUSED"
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def in_use(x: Tensor) -> bool:
    """Whether kernels compute on the map `x` (B, C, H, W).

    That is so if the environment has `ZOO_FUSED=1`, Triton is installed, and x is an ordinary CUDA
    tensor of float32, bfloat16 or float16 whose positions lie in order; never while a program is
    scripted, traced, compiled or exported. With `TRITON_INTERPRET=1`, CPU tensors count too.
    """
    if torch.jit.is_scripting():
        return False
    else:  # TorchScript compiles no `else` of this question
        return _asked_for(x)


def _asked_for(x: Tensor) -> bool:
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or os.environ.get(SWITCH) != "1":
        return False
    return (
        type(x) is Tensor  # no fake tensor, no symbol
        and (x.is_cuda or _interpreting())
        and x.dtype in DTYPES
        and x.ndim == 4
        and x.numel() > 0
        and lies_in_order(x)
        and _has_triton()
    )


def _interpreting() -> bool:
    return os.environ.get("TRITON_INTERPRET") == "1"


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None
