"""Every kernel of `zoo.sdk.fused` against its plain expression, by Triton's interpreter.

    ZOO_FUSED=1 TRITON_INTERPRET=1 python tests/unit/fused_kernels.py [CASE.safetensors ...]

Prints one JSON object: how far outputs and gradients are from the plain expression's, relative to
the largest number, on maps of odd sizes in either memory format; which kernels ran; and what became
of the reference cases that are named.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from zoo_plugins.mechanisms.mixed.simam import SimAM

from zoo.reference import verify
from zoo.sdk import fused
from zoo.sdk.fused import launch

Made = Callable[..., Any]
Shape = tuple[int, ...]
SMALL = (2, 5, 4, 9)
WIDE, DEEP = (1, 3, 4, 131), (1, 37, 2, 3)  # more than a tile of positions, and of channels
# A function of a map and other tensors, and the shapes of these.
FUNCTIONS: dict[str, tuple[Made, Callable[[int, int, int, int], tuple[Shape, ...]]]] = {
    "position_mean": (fused.position_mean, lambda b, c, h, w: ()),
    "position_mean_max": (fused.position_mean_max, lambda b, c, h, w: ()),
    "channel_max_mean": (fused.channel_max_mean, lambda b, c, h, w: ()),
    "weighted_sum": (fused.weighted_sum, lambda b, c, h, w: ((b, 1, h * w),)),
    "gate_channels": (fused.gate_channels, lambda b, c, h, w: ((b, c, 1, 1),)),
    "gate_positions": (fused.gate_positions, lambda b, c, h, w: ((b, 1, h, w),)),
    "gate_axes": (fused.gate_axes, lambda b, c, h, w: ((b, c, h, 1), (b, c, 1, w))),
    "deviation_gate": (SimAM(1), lambda b, c, h, w: ()),
}
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x,
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "a part of a larger map": lambda x: torch.cat([x, x], 1)[:, : x.shape[1]],
    "lines apart": lambda x: torch.cat([x, x], 3)[..., : x.shape[3]],  # computed as it ever was
}
SETTINGS: tuple[tuple[str, torch.dtype, Shape], ...] = (
    *((layout, torch.float32, SMALL) for layout in LAYOUTS),
    ("contiguous", torch.float32, WIDE),
    ("contiguous", torch.float32, DEEP),
    ("channels_last", torch.bfloat16, SMALL),
    ("contiguous", torch.float16, SMALL),
)


def outputs_and_gradients(function: Made, given: list[Tensor], on: bool) -> list[Tensor]:
    os.environ["ZOO_FUSED"] = str(int(on))
    inputs = [each.detach().requires_grad_() for each in given]
    found = function(*inputs)
    outputs = found if isinstance(found, tuple) else (found,)
    total = sum((y.float() * (torch.arange(y.numel()).view(y.shape) % 7 - 2.5)).sum()
                for y in outputs)  # fmt: skip
    return [*outputs, *torch.autograd.grad(total, inputs)]


def rising(size: Shape) -> Tensor:
    """What brings the maxima to the last channels and positions, into the last tile of a row."""
    _, c, h, w = size
    return torch.linspace(0, 9, c).view(c, 1, 1) + torch.linspace(0, 9, h * w).view(h, w)


def difference(name: str, layout: str, dtype: torch.dtype, size: Any) -> float:
    """The largest difference of a number, over the largest number of its tensor."""
    torch.manual_seed(0)
    function, shapes = FUNCTIONS[name]
    x = LAYOUTS[layout](torch.randn(size) + rising(size)).to(dtype)
    given = [x, *(torch.rand(shape).to(dtype) for shape in shapes(*size))]
    ours = outputs_and_gradients(function, given, True)
    plain = outputs_and_gradients(function, given, False)
    assert [(t.shape, t.dtype) for t in ours] == [(t.shape, t.dtype) for t in plain]
    pairs = [(a.detach().float(), b.detach().float()) for a, b in zip(ours, plain, strict=True)]
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


def kernels_that_run() -> set[str]:
    """The names of the kernels that run from now on."""
    from zoo.sdk.fused import axes

    names: set[str] = set()
    start = launch.launch

    def told(name: str, *rest: Any) -> None:
        names.add(name)
        start(name, *rest)

    launch.launch = axes.launch = told
    return names


def main(cases: list[str]) -> None:
    names = kernels_that_run()
    rows = {
        f"{name}, {layout}, {str(dtype).removeprefix('torch.')}, {'x'.join(map(str, size))}":
        difference(name, layout, dtype, size)
        for name in FUNCTIONS
        for layout, dtype, size in SETTINGS
    }  # fmt: skip
    os.environ["ZOO_FUSED"] = "1"
    failed = {r.file: r.reason for r in verify(cases) if r.status != "passed"}
    print(json.dumps({"differences": rows, "kernels": sorted(names), "failed": failed}))


if __name__ == "__main__":
    main(sys.argv[1:])
