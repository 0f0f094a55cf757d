"""Efficient multi-head self-attention (Zhang, Yang, NeurIPS 2021, arXiv 2105.13677, section 3.2).

    x' = LN(DWConv(x)),   K = W_k x',   V = W_v x'
    y = W_o concat(IN(softmax(P(d_k^-1/2 Q K^T))) V) + b_o                           (eq. 4)

DWConv: kernel s + 1, stride s, on the tokens as a map, so that N / s^2 keys are left: the cost is
divided by s^2 but stays quadratic. P: 1x1 convolution over the heads; IN: instance norm of each
head's N x N' matrix, without parameters. IN makes every row sum to zero, which takes out what is
added to all of V.

x, y: (B, N, C), N = H W. There is no mask: a map has no length. Parameter names are those of the
port that the cases were recorded from; the authors' code is ResT's.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveInt, Size, refuse
from zoo.sdk.attend import attend, check_tokens
from zoo.sdk.map_size import as_pair
from zoo_plugins.mechanisms.self_attention.token_mixer import carry_projections, heads_and_width

NAME = "emsa"


class EMSA(nn.Module):
    """(B, N, C) -> the same shape.

    Args:
        dim: C.
        feat_size: (H, W).
        num_heads: 8, or fewer if that does not divide C.
        key_dim, value_dim: d_k and d_v of a head, C / num_heads.
        reduction: s, 2; with 1 there is no DWConv and no LN.
        apply_transform: P and IN, where there is more than one head.
    """

    def __init__(
        self,
        dim: int,
        *,
        feat_size: Size,
        num_heads: PositiveInt | None = None,
        key_dim: PositiveInt | None = None,
        value_dim: PositiveInt | None = None,
        reduction: PositiveInt = 2,
        apply_transform: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_heads, width = heads_and_width(NAME, dim, num_heads, key_dim)
        values = width if value_dim is None else value_dim
        self.size, self.reduction = as_pair(feat_size), reduction
        if min(self.size) + 2 * (reduction // 2) <= reduction > 1:
            refuse(
                NAME, f"a map of {self.size[0]} x {self.size[1]} is less than reduction={reduction}"
            )
        dd: Any = {"device": device, "dtype": dtype}
        self.fc_q = nn.Linear(dim, self.num_heads * width, **dd)
        self.fc_k = nn.Linear(dim, self.num_heads * width, **dd)
        self.fc_v = nn.Linear(dim, self.num_heads * values, **dd)
        self.fc_o = nn.Linear(self.num_heads * values, dim, **dd)
        if reduction > 1:
            s = reduction
            self.sr_conv = nn.Conv2d(dim, dim, s + 1, s, s // 2, groups=dim, **dd)
            self.sr_ln = nn.LayerNorm(dim, **dd)
        transform = apply_transform and self.num_heads > 1
        self.transform = nn.Conv2d(self.num_heads, self.num_heads, 1, **dd) if transform else None

    def forward(self, x: Tensor) -> Tensor:
        if not torch.jit.is_scripting():
            check_tokens(NAME, "x", x, self.fc_q.in_features)
        memory = self._reduced(x)
        q, k, v = self._heads(self.fc_q(x)), self.fc_k(memory), self.fc_v(memory)
        k, v = self._heads(k), self._heads(v)
        if self.transform is None:
            y = attend(q, k, v)
        else:
            logits = (q * q.shape[3] ** -0.5) @ k.transpose(2, 3)
            weights = self.transform(logits).softmax(3)
            y = F.layer_norm(weights, weights.shape[2:]) @ v  # the same, and takes a 1 x 1 map
        return self.fc_o(y.transpose(1, 2).flatten(2))

    def _reduced(self, x: Tensor) -> Tensor:
        """The tokens that keys and values are of: the map at 1 / s of its size."""
        if not torch.jit.is_scripting() and x.shape[1] != self.size[0] * self.size[1]:
            what = f"{x.shape[1]} tokens are no map of {self.size[0]} x {self.size[1]}"
            refuse(NAME, what, "feat_size=(H, W)")
        if self.reduction == 1:
            return x
        grid = x.transpose(1, 2).unflatten(2, self.size)
        return self.sr_ln(self.sr_conv(grid).flatten(2).transpose(1, 2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

    @torch.no_grad()
    def init_branch(self) -> None:
        """Outputs of about the inputs' size: IN makes N' weights of size 1, a softmax of 1 / N'."""
        if self.transform is not None:
            self.fc_o.weight.mul_(self.reduction**2 / (self.size[0] * self.size[1]))

    @torch.no_grad()
    def take_over(self, attention: Any) -> bool:
        """Start from the projections of timm's `Attention`; DWConv starts as an average.

        Not the same function: keys are averages, and P and IN change the weights.
        """
        carry_projections((self.fc_q, self.fc_k, self.fc_v), self.fc_o, attention)
        if self.reduction > 1:
            nn.init.constant_(self.sr_conv.weight, (self.reduction + 1) ** -2)
            nn.init.constant_(self.sr_conv.bias, 0.0)  # pyright: ignore[reportArgumentType]
        return False
