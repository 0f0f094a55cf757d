"""Gates and poolings of maps that can run as one Triton kernel each, forward and backward.

Each function computes a plain PyTorch expression, which stands in it and is its definition. With
`ZOO_FUSED=1` in the environment, a kernel takes its place where `in_use` says so: on CUDA tensors,
outside of TorchScript, tracing, `torch.compile` and `torch.export`. The switch is off by default.

- `position_mean`, `position_mean_max`, `channel_max_mean`, `weighted_sum`: what a gate is made of.
- `gate_channels`, `gate_positions`, `gate_axes`: the multiplication of a map by its gates.
- `deviation_gate`: a gate of how far each position is from the mean of its channel; a kernel
  alone, for a mechanism whose own file has the expression.

Kernels take float32, bfloat16 and float16, add up in float32, and read maps in either memory format
(contiguous or channels last) as they lie. First derivatives only.
"""

from zoo.sdk.fused.axes import gate_axes
from zoo.sdk.fused.deviation import deviation_gate
from zoo.sdk.fused.gates import gate_channels, gate_positions
from zoo.sdk.fused.pooling import (
    channel_max_mean,
    position_mean,
    position_mean_max,
    weighted_sum,
)
from zoo.sdk.fused.switch import in_use

__all__ = [
    "channel_max_mean",
    "deviation_gate",
    "gate_axes",
    "gate_channels",
    "gate_positions",
    "in_use",
    "position_mean",
    "position_mean_max",
    "weighted_sum",
]
