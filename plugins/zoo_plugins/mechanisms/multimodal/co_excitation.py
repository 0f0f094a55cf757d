"""Co-attention and co-excitation (Hsieh et al., NeurIPS 2019, arXiv 1911.12529, sections 3.2, 3.3).

    a_qt = theta(q) . phi(t)                                      no softmax
    t' = t + BN(Q mean_q(a_qt g(q))),   q' = q + BN(W mean_t(a_qt g(t)))
    c = sigmoid(MLP(mean_hw q') + MLP(max_hw q'))
    y = t' c,   z = q' c

t, t', y: (B, C, H, W), the image searched; q, q', z: (B, C, H', W'), the query; c: (B, C, 1, 1).
theta, phi, g: 1x1 to C/2 channels, shared by both directions; the means are the sums over the other
map's positions divided by their number. `forward` gives t' (for region proposals), y, z and c.
The paper squeezes by a mean alone; the authors' code, followed here, by CBAM's channel gate. Both
batch norms start at zero, so that t' = t and q' = q.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, zero_
from zoo.sdk.inputs import check_shape
from zoo_plugins.mechanisms.mixed.cbam import ChannelGate
from zoo_plugins.mechanisms.self_attention.non_local import multiply_through, to_map

NAME = "co_excitation"


class CoExcitation(nn.Module):
    """(target, query) -> both refined by each other; the maps may differ in size.

    Args:
        channels: C.
        inter_channels: the width of theta, phi and g, by default C / 2.
        reduction: of the gate's MLP, 16 as in CBAM.
        reduced_channels: the width of that MLP itself, instead of C / reduction.
        bias: of the 1x1 convolutions.
        batch_norm: at the end of both residual branches.
    """

    def __init__(
        self,
        channels: PositiveInt,
        *,
        inter_channels: PositiveInt | None = None,
        reduction: PositiveFloat = 16,
        reduced_channels: PositiveInt | None = None,
        bias: bool = True,
        batch_norm: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.channels = channels
        inner = max(1, channels // 2) if inter_channels is None else inter_channels
        dd: Any = {"device": device, "dtype": dtype}
        biased: Any = {"bias": bias, **dd}
        self.theta = nn.Conv2d(channels, inner, 1, **biased)
        self.phi = nn.Conv2d(channels, inner, 1, **biased)
        self.g = nn.Conv2d(channels, inner, 1, **biased)
        self.query_out = _branch_end(inner, channels, batch_norm, biased)
        self.target_out = _branch_end(inner, channels, batch_norm, biased)
        self.gate = ChannelGate(
            channels, reduction=reduction, reduced_channels=reduced_channels, **dd
        )

    def forward(self, target: Tensor, query: Tensor) -> dict[str, Tensor]:
        check_shape(NAME, "target", target, ("B", self.channels, "H", "W"))
        check_shape(NAME, "query", query, (target.shape[0], self.channels, "H", "W"))
        theta, phi = _tokens(self.theta(query)), _tokens(self.phi(target))
        from_target = multiply_through(theta, phi, _tokens(self.g(target)))
        from_query = multiply_through(phi, theta, _tokens(self.g(query)))
        query = query + self.query_out(to_map(from_target, query))
        target = target + self.target_out(to_map(from_query, target))
        weight = self.gate.weight(query)
        return {
            "target_nonlocal": target,
            "target_excited": target * weight,
            "query_excited": query * weight,
            "channel_weight": weight,
        }


def _branch_end(inner: int, channels: int, norm: bool, dd: dict[str, Any]) -> nn.Sequential:
    """To C channels, starting at zero."""
    conv = nn.Conv2d(inner, channels, 1, **dd)
    factory = {"device": dd["device"], "dtype": dd["dtype"]}
    last = nn.BatchNorm2d(channels, **factory) if norm else nn.Identity()
    zero_(last if norm else conv)
    return nn.Sequential(conv, last)


def _tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


def example(channels: int, batch: int, generator: torch.Generator) -> tuple[dict[str, Any], Any]:
    """A target and a smaller query."""
    sizes = ((7, 8), (4, 3))
    return {}, tuple(torch.randn(batch, channels, *s, generator=generator) for s in sizes)
