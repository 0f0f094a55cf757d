"""Agent attention (Han et al., ECCV 2024, arXiv 2312.08874, section 4).

    A = pool(Q),   V_A = softmax(d^-1/2 A K^T + B_1) V                                    (eq. 4)
    head = softmax(d^-1/2 Q A^T + B_2) V_A,   y = W_o (concat_i(head) + D(V)) + b_o       (eq. 5)

x, y: (B, N, C), N = H W, or 1 + N with a class token first. Q = W_q x + b_q; K, V of x' = x, or, as
in PVT, LN(Conv_R(x)). A: (n, C), the map of Q averaged to sqrt(n) x sqrt(n) agents, then split into
heads of d channels, so that the cost is linear in N. D: a depthwise 3 x 3 convolution of V as a
map, which is resized to H x W.

B_1 = resize(an) + ah + aw: of agents and places, `an_bias` (heads, n, 7, 7) resized to the map,
`ah_bias` of rows, `aw_bias` of columns. B_2 likewise, of `na_bias`, `ha_bias` and `wa_bias`. The
class token is no place: it is in no pool and not in D, and has biases `ac_bias` and `ca_bias` of
its own. A bias of K has no effect. The authors' layers take square maps only; these take any.
A map has no length: there is no mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveInt, Size, refuse
from zoo_plugins.mechanisms.self_attention.reduced_map import ReducedMap, split_joint
from zoo_plugins.mechanisms.self_attention.token_mixer import carry_joint

TABLE = 7  # the side of an_bias and na_bias, whatever the map


class Agent(ReducedMap):
    """(B, N, C) -> the same shape.

    Args:
        dim: C.
        feat_size: (H, W).
        num_heads: 8, or fewer if that does not divide C.
        head_dim: d, C / num_heads.
        agent_num: n, a square number, 49.
        class_token: whether a class token comes first.
        reduction: R of PVT, 1; there is no class token beside it.
        qkv_bias: of the projections to Q, K and V.
        bias: of the last projection.
    """

    mechanism = "agent"
    an_bias: Tensor
    na_bias: Tensor
    ah_bias: Tensor
    aw_bias: Tensor
    ha_bias: Tensor
    wa_bias: Tensor
    ac_bias: Tensor
    ca_bias: Tensor

    def __init__(
        self,
        dim: int,
        *,
        feat_size: Size,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        agent_num: PositiveInt = 49,
        class_token: bool = False,
        reduction: PositiveInt = 1,
        qkv_bias: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        dd: Any = {"device": device, "dtype": dtype}
        super().__init__(
            dim, feat_size=feat_size, num_heads=num_heads, head_dim=head_dim, reduction=reduction,
            bias=bias, **dd,
        )  # fmt: skip
        self.agent_side, self.num_prefix_tokens = isqrt(agent_num), int(class_token)
        if self.agent_side**2 != agent_num:
            refuse(self.mechanism, f"agent_num={agent_num} is no square number", "agent_num=49")
        if class_token and reduction > 1:
            refuse(self.mechanism, f"reduction={reduction} has no class token", "class_token=False")
        self.q = nn.Linear(dim, dim, bias=qkv_bias, **dd)
        self.kv = nn.Linear(dim, 2 * dim, bias=qkv_bias, **dd)
        self.dwc = nn.Conv2d(dim, dim, 3, padding=1, groups=dim, **dd)
        for name, shape in self._tables(agent_num).items():
            table = nn.init.trunc_normal_(torch.empty(shape, **dd), std=0.02)
            setattr(self, name, nn.Parameter(table))

    def _tables(self, agents: int) -> dict[str, tuple[int, ...]]:
        heads, (height, width) = self.num_heads, self.size
        rows, columns = self.reduced_size
        tables: dict[str, tuple[int, ...]] = {
            "an_bias": (heads, agents, TABLE, TABLE),
            "na_bias": (heads, agents, TABLE, TABLE),
            "ah_bias": (1, heads, agents, rows, 1),
            "aw_bias": (1, heads, agents, 1, columns),
            "ha_bias": (1, heads, height, 1, agents),
            "wa_bias": (1, heads, 1, width, agents),
        }
        if self.num_prefix_tokens:
            tables |= {"ac_bias": (1, heads, agents, 1), "ca_bias": (1, heads, 1, agents)}
        return tables

    def forward(self, x: Tensor) -> Tensor:
        self.check(x, self.num_prefix_tokens)
        q, (k, v) = self.q(x), self.kv(self.reduced(x)).chunk(2, 2)
        agents = self.heads(self._agents(q))
        q, k, values = self.heads(q), self.heads(k), self.heads(v)
        to_agents, from_agents = (bias.to(q.dtype) for bias in self.biases())
        pooled = F.scaled_dot_product_attention(agents, k, values, attn_mask=to_agents)
        y = F.scaled_dot_product_attention(q, agents, pooled, attn_mask=from_agents)
        return self.proj(self._with_places(y.transpose(1, 2).flatten(2), v))

    def _agents(self, q: Tensor) -> Tensor:
        """A of q (B, N, C): (B, n, C)."""
        grid = q[:, self.num_prefix_tokens :].mT.unflatten(2, self.size)
        return F.adaptive_avg_pool2d(grid, self.agent_side).flatten(2).mT

    def biases(self) -> tuple[Tensor, Tensor]:
        """B_1 (1, heads, n, N') and B_2 (1, heads, N, n)."""
        first = _resized(self.an_bias, self.reduced_size)
        first = first + (self.ah_bias + self.aw_bias).flatten(3)
        second = _resized(self.na_bias, self.size).mT
        second = second + (self.ha_bias + self.wa_bias).flatten(2, 3)
        if self.num_prefix_tokens:
            first = torch.cat([self.ac_bias, first], 3)
            second = torch.cat([self.ca_bias, second], 2)
        return first, second

    def _with_places(self, y: Tensor, v: Tensor) -> Tensor:
        """y + D(v), of the tokens that are places."""
        grid = v[:, self.num_prefix_tokens :].mT.unflatten(2, self.reduced_size)
        if self.reduced_size != self.size:
            grid = F.interpolate(grid, size=self.size, mode="bilinear")
        return y + F.pad(self.dwc(grid).flatten(2).mT, (0, 0, self.num_prefix_tokens, 0))

    @torch.no_grad()
    def take_over(self, attention: Any) -> bool:
        """Start from the projections of timm's `Attention`; not the same function."""
        carry_joint(self, {"q": "q", "kv": "kv"}, attention)
        self.start_as_average()
        return False


def _resized(table: Tensor, size: tuple[int, int]) -> Tensor:
    """(heads, n, 7, 7) -> (1, heads, n, H W)."""
    return F.interpolate(table, size=size, mode="bilinear").flatten(2)[None]


def from_authors(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Their one layer of DeiT and Swin as two; those of PVT are ours."""
    return split_joint(state, "qkv", {"q": "q", "kv": "kv"})
