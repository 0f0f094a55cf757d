"""High-order attention (Ding et al., MICCAI 2020, DOI 10.1007/978-3-030-59710-8_25; HANet).

    s_ij = theta(x_i) . phi(x_j) / sqrt(d)                        dense similarity
    G_1 = [cos(theta(x_i), phi(x_j)) > t] or i = j                who is a neighbour of whom
    G_h = G_{h-1} G_1 (boolean)                                   who is within h steps
    A_h = softmax_j(s_ij; j in G_h(i))                            attention of order h = 1 ... n
    y = x + W [A_1 g_1(x), ..., A_n g_n(x)]                       information aggregation

x, y: (B, C, H, W); theta, phi, g: 1x1 to d = C/2 channels. The graph has no gradient. A position's
receptive field adapts to the image: it attends to what it resembles, and to what that resembles.

No code of the authors is known, and only the abstract of the paper and of its preprint (arXiv
1911.08777) could be read: an attention map for each pixel, made "through graph transduction", that
"captures high relevant context information at high-order"; in the graph "there will be an edge
between two nodes only if the correlation between them is high enough", and neighbours of several
levels are used. Everything else is a choice made here:
  - the correlation is a cosine, and t is 0.5; every position is its own neighbour;
  - an order's attention is the softmax over its neighbours, of logits scaled by d^-1/2;
  - n is 2; each order has its own g, and all are joined and mapped back by W, to a residual;
  - no biases and no norms, W zero at the start.
With t below -1 and n = 1 it is a non-local block. Cost: N^2 d, and N^3 for each order beyond the
first, of N = H W positions.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, bottleneck_width, zero_


class HighOrder(nn.Module):
    """(B, C, H, W) -> the same shape.

    Args:
        channels: C.
        order: n, 2.
        threshold: t, 0.5.
        reduction: C over d, 2.
        reduced_channels: d itself.
    """

    def __init__(
        self,
        channels: int,
        *,
        order: PositiveInt = 2,
        threshold: float = 0.5,
        reduction: PositiveFloat = 2,
        reduced_channels: PositiveInt | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.order, self.threshold = order, threshold
        width = bottleneck_width(channels, reduction, reduced_channels)
        dd: Any = {"bias": False, "device": device, "dtype": dtype}
        self.theta = nn.Conv2d(channels, width, 1, **dd)
        self.phi = nn.Conv2d(channels, width, 1, **dd)
        self.g = nn.Conv2d(channels, self.order * width, 1, **dd)
        self.out = nn.Conv2d(self.order * width, channels, 1, **dd)
        self.init_identity()

    def init_identity(self) -> float:
        """Start as x: W is zero."""
        zero_(self.out)
        return 1.0

    def forward(self, x: Tensor) -> Tensor:
        theta, phi = _tokens(self.theta(x)), _tokens(self.phi(x))
        values = _tokens(self.g(x)).unflatten(2, (self.order, -1)).transpose(1, 2)  # (B, n, N, d)
        queries, keys = theta.unsqueeze(1).expand_as(values), phi.unsqueeze(1).expand_as(values)
        graph = self.neighbours(theta.detach(), phi.detach())
        y = F.scaled_dot_product_attention(queries, keys, values, attn_mask=graph)
        y = y.transpose(1, 2).flatten(2).transpose(1, 2).unflatten(2, x.shape[2:])
        return x + self.out(y)

    def neighbours(self, theta: Tensor, phi: Tensor) -> Tensor:
        """G_1 ... G_n of (B, N, d): (B, n, N, N), bool."""
        correlation = F.normalize(theta, dim=2) @ F.normalize(phi, dim=2).transpose(1, 2)
        itself = torch.eye(theta.shape[1], dtype=torch.bool, device=theta.device)
        graph = (correlation > self.threshold) | itself
        found, step = [graph], graph.to(theta.dtype)
        for _ in range(1, self.order):
            found.append(found[-1].to(theta.dtype) @ step > 0.5)
        return torch.stack(found, 1)

    def attention(self, x: Tensor) -> Tensor:
        """A_1 ... A_n, (B, n, N, N)."""
        theta, phi = _tokens(self.theta(x)), _tokens(self.phi(x))
        logits = (theta @ phi.transpose(1, 2) * theta.shape[2] ** -0.5).unsqueeze(1)
        return logits.masked_fill(~self.neighbours(theta, phi), -torch.inf).softmax(3)


def _tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)
