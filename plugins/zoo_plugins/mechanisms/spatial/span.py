"""SPAN's pyramid of local self-attention (Hu et al., ECCV 2020, arXiv 2009.00726, section 3.2).

    block of dilation d, over the 3 x 3 offsets l:
    a_l(p) = softmax_l(scale (K_l x(p + d l)) . (Q x(p)))
    r(p) = x(p) + sum_l a_l(p) V_l x(p + d l)
    y = r + relu(conv(relu(conv(relu(conv(r))))))                3x3, D -> D -> 2D -> D

x, y: (B, D, H, W); a pyramid is blocks in sequence, dilations 1, 3, 9, 27, 81 in the paper. With
`position_projection` every offset has its own K and V (the paper); without, all share one. Outside
the map x is zero, and so are the logit and the value: such offsets do take attention.

The ports that circulate mix positions and channels by a wrong reshape; this does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveFloat, PositiveInt, refuse
from zoo.sdk.precision import widened
from zoo_plugins.mechanisms.spatial.neighbourhood import neighbours

DILATIONS = (1, 3, 9, 27, 81)


class SpanBlock(nn.Module):
    """One block: (B, D, H, W) -> the same shape."""

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        dilation: int,
        projections: int,
        scale: float,
        residual: bool,
        dd: Any,
    ) -> None:
        super().__init__()
        self.kernel_size, self.dilation = kernel_size, dilation
        self.projections, self.scale, self.residual = projections, scale, residual
        self.query = nn.Conv2d(channels, channels, 1, bias=False, **dd)
        self.key = nn.Conv2d(channels, channels * projections, 1, bias=False, **dd)
        self.value = nn.Conv2d(channels, channels * projections, 1, bias=False, **dd)
        self.ff1 = nn.Conv2d(channels, channels, 3, padding=1, **dd)
        self.ff2 = nn.Conv2d(channels, channels * 2, 3, padding=1, **dd)
        self.ff3 = nn.Conv2d(channels * 2, channels, 3, padding=1, **dd)

    def forward(self, x: Tensor) -> Tensor:
        return self.stages(x)[2]

    def stages(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The attention (B, k * k, H, W), the map after it, and the block's output."""
        shared = self.projections == 1
        weights, attended = self._shared(x) if shared else self._projected(x)
        attended = attended.view(x.shape)
        middle = x + attended if self.residual else attended
        out = F.relu(self.ff3(F.relu(self.ff2(F.relu(self.ff1(middle))))))
        out = middle + out if self.residual else out
        return weights.unflatten(2, x.shape[2:]), middle, out

    def _shared(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """With one key and value for all offsets: projected first, then gathered."""
        keys = neighbours(self.key(x), self.kernel_size, self.dilation)  # (B, D, k * k, HW)
        query = widened(self.query(x).flatten(2)[:, :, None])
        weights = torch.softmax(self.scale * (keys * query).sum(1), 1).to(x.dtype)
        values = neighbours(self.value(x), self.kernel_size, self.dilation)
        return weights, (values * weights[:, None]).sum(2)

    def _projected(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """With K_l and V_l for each offset l: (K_l^T Q x) . x_l, and sum_l V_l (a_l x_l)."""
        around = neighbours(x, self.kernel_size, self.dilation)
        shape = (self.projections,) + self.query.weight.shape
        back = self.key.weight.view(shape).transpose(1, 2).flatten(0, 1)  # K_l^T
        seen = F.conv2d(self.query(x), back).view(around.transpose(1, 2).shape).transpose(1, 2)
        weights = torch.softmax(self.scale * (around * widened(seen)).sum(1), 1).to(x.dtype)
        values = self.value.weight.view(shape[:3]).permute(1, 2, 0).flatten(1)
        return weights, values @ (around * weights[:, None]).flatten(1, 2)


class SpatialPyramidAttention(nn.Module):
    """(B, D, H, W) -> the same shape: one block for each dilation, in sequence.

    Args:
        channels: D.
        dilations: of the blocks, 1, 3, 9, 27, 81; beyond the map only the position itself is seen.
        kernel_size: of the neighbourhood, odd, 3.
        position_projection: K and V of their own for every offset, True.
        scale: of the logits; by default 1/8 with `position_projection`, else 1.
        residual: add what goes in to the attention and to the convolutions, True.
    """

    def __init__(
        self,
        channels: int,
        *,
        dilations: Sequence[PositiveInt] = DILATIONS,
        kernel_size: OddInt = 3,
        position_projection: bool = True,
        scale: PositiveFloat | None = None,
        residual: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if not dilations:
            refuse("span", f"dilations={dilations!r} names no block", "dilations=(1, 3, 9)")
        if scale is None:
            scale = 0.125 if position_projection else 1.0
        projections = kernel_size * kernel_size if position_projection else 1
        dd = {"device": device, "dtype": dtype}
        self.blocks = nn.Sequential(
            *(
                SpanBlock(channels, kernel_size, dilation, projections, scale, residual, dd)
                for dilation in dilations
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


def reference_call(module: SpatialPyramidAttention, x: Tensor) -> dict[str, Tensor]:
    """What a reference case records: y, and each block's attention and map after it."""
    found: dict[str, Tensor] = {}
    for i, block in enumerate(module.blocks):
        assert isinstance(block, SpanBlock)
        found[f"attention{i}"], found[f"residual{i}"], x = block.stages(x)
    return {"y": x, **found}


def carry_keys(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """From the layout of the Keras layer: x @ K, kernels (H, W, in, out)."""
    names = {"Q_P": "query.weight", "K_P": "key.weight", "V_P": "value.weight"}
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        path, _, leaf = key.rpartition(".")
        leaf = names.get(leaf, leaf.replace("_kernel", ".weight").replace("_bias", ".bias"))
        tensor = tensor.permute(3, 2, 0, 1) if tensor.ndim == 4 else tensor.t()
        found[f"{path}.{leaf}" if path else leaf] = tensor
    return found
