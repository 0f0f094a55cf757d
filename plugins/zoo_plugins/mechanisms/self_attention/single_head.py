"""Single-head self-attention (Yun, Ro, SHViT, CVPR 2024, arXiv 2401.16456, section 3.2).

    x = [x_1, x_2],   q, k, v = BN(W GN(x_1))                                            (eq. 2)
    y = BN(W_o relu([softmax(d^-1/2 q^T k) v, x_2]))                                 (eq. 1, 3)

x, y: (B, C, H, W). Attention, of one head, is paid to x_1 alone, the first C_p channels; q, k: (d,
H W). GN: a GroupNorm of one group, over channels and places; W, W_o: 1x1 convolutions without
biases. The share of the batch norm in k that is the same for all places has no effect.

Parameter names are the authors', which are timm's. The last batch norm starts at zero, as theirs:
with the residual around the block it is the identity.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.models.shvit import Conv2dNorm
from torch import Tensor, nn

from zoo.sdk import PositiveInt, refuse
from zoo.sdk.inputs import check_shape
from zoo_plugins.mechanisms.self_attention.non_local import attend

NAME = "single_head"


class SingleHead(nn.Module):
    """(B, C, H, W) -> the same shape.

    Args:
        dim: C.
        qk_dim: d, 16.
        pdim: C_p, by default the paper's share, C / 4.67.
    """

    starts_at_zero = True  # the scale of the last norm does

    def __init__(
        self,
        dim: int,
        *,
        qk_dim: PositiveInt = 16,
        pdim: PositiveInt | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.pdim = max(1, round(dim / 4.67)) if pdim is None else pdim
        if self.pdim > dim:
            refuse(NAME, f"pdim={self.pdim} is more than dim={dim}")
        self.dim, self.parts = dim, [qk_dim, qk_dim, self.pdim]
        dd: Any = {"device": device, "dtype": dtype}
        self.pre_norm = nn.GroupNorm(1, self.pdim, **dd)
        self.qkv = Conv2dNorm(self.pdim, sum(self.parts), **dd)
        self.proj = nn.Sequential(nn.ReLU(), Conv2dNorm(dim, dim, bn_weight_init=0, **dd))

    def forward(self, x: Tensor) -> Tensor:
        if not torch.jit.is_scripting():
            check_shape(NAME, "x", x, ("B", self.dim, "H", "W"))
        first, rest = x.split([self.pdim, self.dim - self.pdim], 1)
        q, k, v = self.qkv(self.pre_norm(first)).flatten(2).mT.split(self.parts, 2)
        first = attend(q, k, v, q.shape[2] ** -0.5).mT.unflatten(2, x.shape[2:])
        return self.proj(torch.cat([first, rest], 1))
