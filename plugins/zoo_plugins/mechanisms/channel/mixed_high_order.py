"""Mixed high-order attention (Chen, Deng, Hu, ICCV 2019, arXiv 1908.05819, section 3).

    z_r = relu((D_r1 x) * ... * (D_rr x))              of degree r in x, r = 1 ... R
    a = 1/R sum_r sigmoid(W_r z_r)                     order R
    y = x * a

x, y: (B, C, H, W); D: 1x1, C -> 2 floor(C/8), one for each factor; W: 1x1, back to C. No biases, no
residual. As in the authors' code, the ReLU comes after the product, and a is the mean of a sigmoid
for each degree, not a sigmoid of their sum. The R (R + 1) / 2 convolutions D are one here.

`mixed=True` is the whole module: orders 1 ... R side by side, each with weights of its own,
and their outputs joined along the batch, (R B, C, H, W), order by order: the trunk that
follows is shared, and an adversary (not part of this) keeps the orders apart in training.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveInt, zero_
from zoo.sdk.precision import saturated


class MixedHighOrder(nn.Module):
    """(B, C, H, W) -> the same shape; if mixed, (R B, C, H, W).

    Args:
        channels: C.
        order: R, by default 3, and 6 if mixed.
        mixed: all orders up to R instead of R alone.
        reduced_channels: of each D, by default 2 floor(C / 8), and at least 1.
        bias: of all convolutions, False.
    """

    def __init__(
        self,
        channels: int,
        *,
        order: PositiveInt | None = None,
        mixed: bool = False,
        reduced_channels: PositiveInt | None = None,
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.mixed = mixed
        width = reduced_channels or max(1, channels // 8 * 2)
        last = order or (6 if mixed else 3)
        orders = range(1, last + 1) if mixed else (last,)
        dd: Any = {"bias": bias, "device": device, "dtype": dtype}
        self.orders = nn.ModuleList(OrderGate(channels, width, r, dd) for r in orders)

    def forward(self, x: Tensor) -> Tensor:
        if not self.mixed:
            return x * self.attention(x)
        return torch.cat([x * gate(x) for gate in self.orders])

    def attention(self, x: Tensor) -> Tensor:
        """a itself; if mixed, of all orders, (R B, C, H, W)."""
        found = [gate(x) for gate in self.orders]
        return torch.cat(found) if self.mixed else found[0]

    def init_identity(self) -> float:
        """Start as 0.5 x: every W is zero."""
        for gate in self.orders:
            zero_(*gate.get_submodule("expand").children())
        return 0.5


class OrderGate(nn.Module):
    """a of one order: (B, C, H, W) -> the same shape, in (0, 1)."""

    def __init__(self, channels: int, width: int, order: int, dd: dict[str, Any]) -> None:
        super().__init__()
        self.width, self.order = width, order
        self.reduce = nn.Conv2d(channels, width * order * (order + 1) // 2, 1, **dd)
        self.expand = nn.ModuleList(nn.Conv2d(width, channels, 1, **dd) for _ in range(order))

    def forward(self, x: Tensor) -> Tensor:
        factors = self.reduce(x).split(self.width, 1)
        total = torch.zeros_like(x)
        first = 0
        for i, expand in enumerate(self.expand):
            product = factors[first]
            for j in range(first + 1, first + i + 1):
                product = saturated(product * factors[j])
            first = first + i + 1
            total = total + torch.sigmoid(expand(torch.relu(product)))
        return total / self.order


def carry_keys(state: Mapping[str, Tensor], module: MixedHighOrder) -> dict[str, Tensor]:
    """The authors' convolutions `order{R}_{r}_{i}`, joined, and `convb{R}_{r}`."""
    found: dict[str, Tensor] = {}
    reducing: dict[tuple[int, str], list[tuple[int, int, Tensor]]] = {}
    for key, tensor in state.items():
        match = re.fullmatch(r"(?:HIGH(\d+)\.)?(order|convb)\d+_([\d_]+)\.0\.(weight|bias)", key)
        if not match:
            found[key] = tensor
            continue
        gate, kind, numbers, what = int(match[1] or 0), match[2], match[3].split("_"), match[4]
        if kind == "convb":
            found[f"orders.{gate}.expand.{int(numbers[0]) - 1}.{what}"] = tensor
        else:
            degree, factor = map(int, numbers)
            reducing.setdefault((gate, what), []).append((degree, factor, tensor))
    for (gate, what), parts in reducing.items():
        joined = [tensor for *_, tensor in sorted(parts, key=lambda part: part[:2])]
        found[f"orders.{gate}.reduce.{what}"] = torch.cat(joined)
    return found


def reference_call(module: MixedHighOrder, x: Tensor) -> dict[str, Tensor]:
    """What a reference case records: the output and the attention."""
    return {"y": module(x), "attention": module.attention(x)}
