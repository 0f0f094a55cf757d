"""Spatial-reduction attention (Wang et al., PVT, ICCV 2021, arXiv 2102.12122, section 3.3).

    x' = LN(Conv_R(x)),   K = W_k x' + b_k,   V = W_v x' + b_v,   Q = W_q x + b_q        (eq. 3)
    y = W_o concat_i(softmax(d^-1/2 Q_i K_i^T) V_i) + b_o                             (eq. 1, 2)

x, y: (B, N, C), N = H W. Conv_R: on the tokens as a map, kernel and stride R, rows and columns that
do not fill a kernel left out, so that N / R^2 keys are left; with R = 1 there is none, and this is
multi-head attention. d: channels of a head.

Linear (PVT v2, CVMJ 2022, arXiv 2106.13797): x' = GELU(LN(Conv_1(pool(x)))) with the average
pooled to 7 x 7 whatever the map, so that the cost is linear in N. b_k has no effect. There is no
mask: a map has no length. Parameter names are the authors'.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveInt, Size, refuse
from zoo.sdk.attend import attend, check_tokens
from zoo.sdk.map_size import as_pair
from zoo_plugins.mechanisms.self_attention.token_mixer import carry_joint, heads_and_width

NAME = "spatial_reduction"


class SpatialReduction(nn.Module):
    """(B, N, C) -> the same shape.

    Args:
        dim: C.
        feat_size: (H, W).
        num_heads: 8, or fewer if that does not divide C.
        head_dim: d, C / num_heads.
        reduction: R, 2; the linear form has none.
        linear: the linear form.
        qkv_bias: of the projections to Q, K and V; the authors' networks have them.
        bias: of the last projection.
    """

    __constants__ = ["POOLED"]  # of TorchScript
    POOLED = 7  # the side of the pooled map of the linear form

    def __init__(
        self,
        dim: int,
        *,
        feat_size: Size,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        reduction: PositiveInt = 2,
        linear: bool = False,
        qkv_bias: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_heads, width = heads_and_width(NAME, dim, num_heads, head_dim)
        self.size, self.linear = as_pair(feat_size), linear
        step = 1 if linear else reduction
        if min(self.size) < step:
            refuse(NAME, f"a map of {self.size[0]} x {self.size[1]} is less than reduction={step}")
        inner = self.num_heads * width
        dd: Any = {"device": device, "dtype": dtype}
        self.q = nn.Linear(dim, inner, bias=qkv_bias, **dd)
        self.kv = nn.Linear(dim, 2 * inner, bias=qkv_bias, **dd)
        self.proj = nn.Linear(inner, dim, bias=bias, **dd)
        self.sr = self.norm = None
        if linear or step > 1:
            self.sr = nn.Conv2d(dim, dim, step, step, **dd)
            self.norm = nn.LayerNorm(dim, **dd)

    def forward(self, x: Tensor) -> Tensor:
        if not torch.jit.is_scripting():
            self._check(x)
        q = self._heads(self.q(x))
        k, v = self.kv(self._reduced(x)).chunk(2, 2)
        k, v = self._heads(k), self._heads(v)
        return self.proj(attend(q, k, v).transpose(1, 2).flatten(2))

    def _reduced(self, x: Tensor) -> Tensor:
        """x', the tokens that keys and values are of."""
        if self.sr is None or self.norm is None:
            return x
        grid = x.mT.unflatten(2, self.size)
        if self.linear:
            grid = F.adaptive_avg_pool2d(grid, self.POOLED)
        tokens = self.norm(self.sr(grid).flatten(2).mT)
        return F.gelu(tokens) if self.linear else tokens

    def _check(self, x: Tensor) -> None:
        check_tokens(NAME, "x", x, self.q.in_features)
        if x.shape[1] != self.size[0] * self.size[1]:
            what = f"{x.shape[1]} tokens are no map of {self.size[0]} x {self.size[1]}"
            refuse(NAME, what, "feat_size=(H, W)")

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

    @torch.no_grad()
    def take_over(self, attention: Any) -> bool:
        """Start from the projections of timm's `Attention`, Conv_R as an average.

        Returns:
            Whether this then computes the same, as it does with R = 1.
        """
        fits = carry_joint(self, {"q": "q", "kv": "kv"}, attention)
        if self.sr is not None and self.sr.bias is not None:
            nn.init.dirac_(self.sr.weight)
            self.sr.weight.copy_(self.sr.weight.sum((2, 3), keepdim=True))
            self.sr.weight.div_(self.sr.weight[0, 0].numel())
            self.sr.bias.zero_()
        normed = isinstance(attention.q_norm, nn.LayerNorm)
        return fits and self.sr is None and self.num_heads == attention.num_heads and not normed
