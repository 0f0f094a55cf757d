"""Focused linear attention (Han et al., FLatten Transformer, ICCV 2023, arXiv 2308.00442, 4).

    q = f((relu(W_q x + b_q) + e) / s),   k = f((relu(W_k x' + b_k + P) + e) / s)
    f(u) = |u| u^p / |u^p|                                                               (eq. 5)
    head_i = q_i (k_i^T V_i) / (q_i sum_n k_in),   y = W_o concat_i(head_i + D(V_i)) + b_o  (eq. 9)

x, y: (B, N, C), N = H W. |.|: over all C channels, before they are split into heads; u^p is by
element; e = 1e-6. s = softplus(`scale`), (C,), and P, `positional_encoding`, (N', C), are learned.
k^T V is made first, (d, d) of each head, so that the cost is linear in N. D: a depthwise
convolution of the d channels of a head, shared by all heads, of V as a map.

The paper writes f of each head's vectors; the authors' code, and this, of all heads' together.
x' = x, or, as in PVT, LN(Conv_R(x)); V of fewer places is stretched to N for D by linear
interpolation along the flattened map, as their code does. A map has no length: there is no mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveFloat, PositiveInt, Size
from zoo.sdk.precision import wide_matmul, widened
from zoo_plugins.mechanisms.self_attention.reduced_map import ReducedMap, split_joint
from zoo_plugins.mechanisms.self_attention.token_mixer import carry_joint

EPS = 1e-6


class FocusedLinear(ReducedMap):
    """(B, N, C) -> the same shape.

    Args:
        dim: C.
        feat_size: (H, W).
        num_heads: 8, or fewer if that does not divide C.
        head_dim: d, C / num_heads.
        focusing_factor: p, 3.
        kernel_size: of D, 5.
        reduction: R of PVT, 1.
        qkv_bias: of the projections to q, k and V.
        bias: of the last projection.
    """

    mechanism = "focused_linear"

    def __init__(
        self,
        dim: int,
        *,
        feat_size: Size,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        focusing_factor: PositiveFloat = 3,
        kernel_size: OddInt = 5,
        reduction: PositiveInt = 1,
        qkv_bias: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        dd: Any = {"device": device, "dtype": dtype}
        super().__init__(
            dim, feat_size=feat_size, num_heads=num_heads, head_dim=head_dim, reduction=reduction,
            bias=bias, **dd,
        )  # fmt: skip
        self.power, places = focusing_factor, self.reduced_size[0] * self.reduced_size[1]
        self.q = nn.Linear(dim, dim, bias=qkv_bias, **dd)
        self.kv = nn.Linear(dim, 2 * dim, bias=qkv_bias, **dd)
        self.dwc = local_convolution(self.head_dim, kernel_size, **dd)
        self.scale = nn.Parameter(torch.zeros(1, 1, dim, **dd))
        self.positional_encoding = nn.Parameter(torch.zeros(1, places, dim, **dd))

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        k, v = self.kv(self.reduced(x)).chunk(2, 2)
        scale = F.softplus(widened(self.scale))
        q = self._focused((widened(self.q(x)).relu() + EPS) / scale)
        k = self._focused((widened(k + self.positional_encoding).relu() + EPS) / scale)
        v = self.heads(v)
        y = linear_attention(self.heads(q), self.heads(k), v).to(x.dtype)
        y = y + around(v, self.dwc, self.reduced_size, self.size)
        return self.proj(y.transpose(1, 2).flatten(2))

    def _focused(self, u: Tensor) -> Tensor:
        """f(u); a power of u by its largest element, which f does not depend on, stays finite."""
        powers = (u / u.detach().amax(2, keepdim=True)) ** self.power
        return F.normalize(powers, dim=2) * u.norm(dim=2, keepdim=True)

    @torch.no_grad()
    def take_over(self, attention: Any) -> bool:
        """Start from the projections of timm's `Attention`; not the same function."""
        carry_joint(self, {"q": "q", "kv": "kv"}, attention)
        self.start_as_average()
        return False


def linear_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q (k^T v) / (q sum k) by two matrix products; q, k (B, heads, N, d), none of them negative.

    Of means, not sums, over the tokens, as the authors' code: these stay in range.
    """
    context = wide_matmul(k.mT, widened(v) / k.shape[2])
    total = wide_matmul(q, k.mean(2, keepdim=True).mT) + EPS
    return wide_matmul(q, context) / total


def around(v: Tensor, conv: nn.Module, size: tuple[int, int], wanted: tuple[int, int]) -> Tensor:
    """D(v) of v (B, heads, H' W', d), which is stretched along the flattened map to H W places."""
    flat = v.flatten(0, 1).mT
    if size != wanted:
        flat = F.interpolate(flat, size=wanted[0] * wanted[1], mode="linear")
    return conv(flat.unflatten(2, wanted)).flatten(2).mT.unflatten(0, v.shape[:2])


def local_convolution(channels: int, kernel_size: int, **dd: Any) -> nn.Conv2d:
    """Depthwise, and of the same size."""
    return nn.Conv2d(
        channels, channels, kernel_size, padding=kernel_size // 2, groups=channels, **dd
    )


def from_authors(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Their one layer of Swin as two; those of PVT are ours."""
    return split_joint(state, "qkv", {"q": "q", "kv": "kv"})
