"""Focal modulation (Yang et al., NeurIPS 2022, arXiv 2203.11926, section 3.2; FocalNet).

    [q; Z_0; G] = W_f x + b_f,   Z_l = gelu(DW_l(Z_(l-1))),   l = 1 ... L               (eq. 4)
    Z = sum_l G_l Z_l + G_(L+1) gelu(mean(Z_L))                                         (eq. 5)
    y = W_o (q * (W_h Z + b_h)) + b_o                                                   (eq. 6)

x, y, q, Z_l: (B, C, H, W); G: (B, L + 1, H, W), not bounded; mean: over all positions. DW_l: a
depthwise convolution without a bias, of a kernel of w + f (l - 1). No two positions are compared:
it does the work of self-attention, at a cost that is linear in them.

The layer is timm's copy of the authors'. Parameter names are timm's, which differ from the authors'
in that of the norm before W_o alone; their layer takes (B, H, W, C).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch.nn.functional as F
from timm.layers import LayerNorm2d
from timm.models.focalnet import FocalModulation as TimmFocalModulation
from torch import Tensor

from zoo.sdk import Count, PositiveInt, Share, refuse
from zoo.sdk.precision import saturated, widened

NAME = "focal_modulation"


class FocalModulation(TimmFocalModulation):
    """(B, C, H, W) -> the same shape.

    Args:
        dim: C.
        focal_window: w, 3.
        focal_level: L, 2; 0 leaves the mean alone.
        focal_factor: f, 2. All kernels must be odd.
        bias: b_f and b_h.
        use_post_norm: LayerNorm over the channels in front of W_o.
        normalize_modulator: divide Z by L + 1.
        proj_drop: dropout rate.
    """

    def __init__(
        self,
        dim: int,
        *,
        focal_window: PositiveInt = 3,
        focal_level: Count = 2,
        focal_factor: Count = 2,
        bias: bool = True,
        use_post_norm: bool = False,
        normalize_modulator: bool = False,
        proj_drop: Share = 0.0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        kernels = [focal_window + focal_factor * level for level in range(focal_level)]
        if any(kernel % 2 == 0 for kernel in kernels):
            what = f"focal_window={focal_window} and focal_factor={focal_factor} make the kernels"
            refuse(NAME, f"{what} {kernels}, of which an even one does not keep the size")
        norm: Any = partial(LayerNorm2d, eps=1e-5)  # as the authors, and timm's networks
        super().__init__(
            dim,
            focal_window,
            focal_level,
            focal_factor,
            bias,
            use_post_norm,
            normalize_modulator,
            proj_drop,
            norm,
            device=device,
            dtype=dtype,
        )

    def forward(self, x: Tensor) -> Tensor:
        """timm's, with products that float16 cannot overflow."""
        q, context, gates = self.f(x).split(self.input_split, 1)
        contexts = []
        for layer in self.focal_layers:
            context = layer(context)
            contexts.append(context)
        contexts.append(self.act(context.mean((2, 3), keepdim=True)))
        levels = zip(contexts, gates.split(1, 1), strict=True)
        terms = [widened(context) * widened(gate) for context, gate in levels]
        gathered = sum(terms[:-1], terms[-1])
        if self.normalize_modulator:
            gathered = gathered / (self.focal_level + 1)
        y = widened(q) * widened(self.h(saturated(gathered.to(q.dtype))))
        return self.proj_drop(self.proj(saturated(self._normed(y).to(q.dtype))))

    def _normed(self, y: Tensor) -> Tensor:
        if not isinstance(self.norm, LayerNorm2d):
            return y
        norm = self.norm
        weight, bias = norm.weight.to(y.dtype), norm.bias.to(y.dtype)
        y = F.layer_norm(y.permute(0, 2, 3, 1), norm.normalized_shape, weight, bias, norm.eps)
        return y.permute(0, 3, 1, 2)


def reference_call(module: FocalModulation, x: Tensor) -> Tensor:
    """A reference case records maps (B, H, W, C)."""
    return module(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
