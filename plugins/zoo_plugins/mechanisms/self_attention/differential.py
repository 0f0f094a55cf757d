"""Differential attention (Ye et al., Differential Transformer, ICLR 2025, arXiv 2410.05258, 2.1).

    A_m = softmax(d^-1/2 Q_m K_m^T),   m = 1, 2
    head = (1 - l_0) RMSNorm((A_1 - l A_2) V),   y = concat(head) W^O + b^O          (eq. 1, 3)
    l = exp(a_1 . b_1) - exp(a_2 . b_2) + l_0,   l_0 = 0.8 - 0.6 exp(-0.3 depth)          (eq. 2)

x, y: (B, N, C). Of each of h heads, Q_1, Q_2, K_1, K_2: (N, d) and V: (N, 2 d), d = C / (2 h): h is
half of what softmax attention has at the same d. a, b: (d,), learned, the same for all heads, as
are the weights of the norm over 2 d channels. `depth` counts a network's blocks from 0.

Parameter names are timm's. The authors' q, k and v are three layers without biases; their code is
causal and rotates Q and K, which this does not. With fewer key heads than query heads their plain
module and their fast one differ; here there are as many. The bias of K has no effect.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import Count, PositiveInt, check_divisible, refuse
from zoo.sdk.attend import attend
from zoo_plugins.mechanisms.self_attention.heads import largest_divisor
from zoo_plugins.mechanisms.self_attention.token_mixer import TokenMixer

NAME = "differential"
VECTORS = ("lambda_q1", "lambda_k1", "lambda_q2", "lambda_k2")


class RMSNorm(nn.RMSNorm):
    """torch's, whose weight may be of another precision than its input, as under autocast."""

    def forward(self, x: Tensor) -> Tensor:
        assert self.weight is not None
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class Differential(TokenMixer):
    """(B, N, C) -> the same shape.

    Args:
        dim: C.
        num_heads: h; 2 h divides C. 8, or fewer if C / 2 is not divisible by that.
        depth: of the block in its network, 0 for the first.
        qkv_bias: of the projection to Q, K and V.
        bias: of the last projection.
        qk_norm: RMSNorm of Q and K over the d channels of a map.
        scale_norm: RMSNorm over the C channels before the last projection.
        dual_lambda: exp of one learned number in the place of each exp(a . b).
    """

    __constants__ = ["dual_lambda"]  # so that TorchScript reads only the layers that there are

    mechanism = NAME
    if TYPE_CHECKING:  # TorchScript cannot read postponed annotations
        lambda_a: Tensor
        lambda_b: Tensor
        lambda_q1: Tensor
        lambda_k1: Tensor
        lambda_q2: Tensor
        lambda_k2: Tensor

    def __init__(
        self,
        dim: int,
        *,
        num_heads: PositiveInt | None = None,
        depth: Count = 0,
        qkv_bias: bool = False,
        bias: bool = True,
        qk_norm: bool = False,
        scale_norm: bool = False,
        dual_lambda: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        dd: Any = {"device": device, "dtype": dtype}
        check_divisible(NAME, "dim", dim, "2 * num_heads", 2 * (num_heads or 1))
        heads = largest_divisor(dim // 2, 8) if num_heads is None else num_heads
        super().__init__(dim, num_heads=2 * heads, qkv_bias=qkv_bias, bias=bias, **dd)
        self.start = 0.8 - 0.6 * math.exp(-0.3 * depth)  # l_0
        if qk_norm:
            self.q_norm = RMSNorm(self.head_dim, 1e-6, **dd)
            self.k_norm = RMSNorm(self.head_dim, 1e-6, **dd)
        self.norm = RMSNorm(dim, 1e-6, **dd) if scale_norm else nn.Identity()
        self.sub_norm = RMSNorm(2 * self.head_dim, 1e-5, **dd)
        self.dual_lambda = dual_lambda
        for name in ("lambda_a", "lambda_b") if dual_lambda else VECTORS:
            shape = () if dual_lambda else (self.head_dim,)
            setattr(self, name, nn.Parameter(torch.zeros(shape, **dd)))
        for name in () if dual_lambda else VECTORS:
            nn.init.normal_(getattr(self, name), std=0.1)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """y of x (B, N, C); mask: (B, N), True where a token is present."""
        q, k, v = self.project(x, mask)
        v = v.unflatten(1, (-1, 2)).transpose(2, 3).flatten(3)  # of two adjacent heads, one of 2 d
        first = attend(q[:, ::2], k[:, ::2], v, mask)
        second = attend(q[:, 1::2], k[:, 1::2], v, mask)
        y = (1 - self.start) * self.sub_norm(first - self.factor() * second)
        assert self.proj is not None
        return self.proj(self.norm(y.transpose(1, 2).flatten(2)))

    def factor(self) -> Tensor:
        """l, a number."""
        if self.dual_lambda:
            return self.lambda_a.exp() - self.lambda_b.exp() + self.start
        one = (self.lambda_q1 * self.lambda_k1).sum().exp()
        return one - (self.lambda_q2 * self.lambda_k2).sum().exp() + self.start


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """What follows from the number of heads here, and must agree with it where it is given."""
    read = dict(options)
    head_dim, key_heads = read.pop("head_dim", None), read.pop("num_kv_heads", None)
    dim = read["dim"]
    if head_dim is not None:
        heads = read.setdefault("num_heads", dim // (2 * head_dim))
        if 2 * heads * head_dim != dim:
            what = f"head_dim={head_dim} is not dim / (2 * num_heads) = {dim} / (2 * {heads})"
            refuse(NAME, what, "leave head_dim= out")
    if key_heads is not None and read.setdefault("num_heads", key_heads) != key_heads:
        refuse(NAME, f"num_kv_heads={key_heads} is not num_heads={read['num_heads']}")
    return read


def from_authors(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The authors' three layers as one, at any depth of a model; timm's names are ours."""
    mapped: dict[str, Tensor] = {}
    for key, tensor in state.items():
        part = re.fullmatch(r"(.*\.)?([qkv])_proj\.weight", key)
        if part is None:
            ours = re.sub(r"(^|\.)out_proj\.", r"\1proj.", key)
            mapped[re.sub(r"(^|\.)subln\.", r"\1sub_norm.", ours)] = tensor
        elif part[2] == "q":
            path = part[1] or ""
            parts = [state[f"{path}{letter}_proj.weight"] for letter in "qkv"]
            mapped[f"{path}qkv.weight"] = torch.cat(parts)
    return mapped
