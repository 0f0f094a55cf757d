"""Reverse attention for semantic segmentation (Huang et al., BMVC 2017, arXiv 1707.06426).

    attention = sigmoid(1 / (relu(F) + 1/8) - 4)         F: (B, K, H, W), the direct branch's scores
    masked = attention * R                               R: (B, K, H, W), the reverse branch's

High where the direct branch sees no class: 0.98 for F <= 0, falling to 0.02. `variant="sigmoid"` is
the paper's first form, sigmoid(-F), which it replaces to converge better. No parameters. The
equation is the survey's quotation (arXiv 2204.07756, section 2.1.4); how the masked scores are then
fused with F (the paper's network subtracts them) is left to the network.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveFloat
from zoo.sdk.inputs import check_shape

NAME = "reverse_segmentation"


class ReverseSegmentation(nn.Module):
    """(scores, reverse scores) -> the reverse scores, masked; all (B, K, H, W).

    Args:
        epsilon, shift: 1/8 and 4 in the equation.
        variant: `paper` (the equation above), or `sigmoid`.
    """

    def __init__(
        self,
        *,
        epsilon: PositiveFloat = 0.125,
        shift: float = 4.0,
        variant: Literal["paper", "sigmoid"] = "paper",
    ) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.shift = shift
        self.variant = variant

    def forward(self, scores: Tensor, reverse: Tensor) -> Tensor:
        check_shape(NAME, "reverse", reverse, tuple(scores.shape))
        return self.attention(scores) * reverse

    def attention(self, scores: Tensor) -> Tensor:
        """The reverse attention itself, (B, K, H, W), in (0, 1)."""
        if self.variant == "sigmoid":
            return torch.sigmoid(-scores)
        return torch.sigmoid(1 / (torch.relu(scores) + self.epsilon) - self.shift)

    def extra_repr(self) -> str:
        return f"epsilon={self.epsilon:g}, shift={self.shift:g}, variant={self.variant!r}"


def reference_call(
    module: ReverseSegmentation, scores: Tensor, reverse: Tensor
) -> dict[str, Tensor]:
    """What a reference case records: the attention and the masked scores."""
    return {"attention": module.attention(scores), "masked": module(scores, reverse)}
