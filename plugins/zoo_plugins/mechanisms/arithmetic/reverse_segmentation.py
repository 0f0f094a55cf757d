"""Reverse attention for semantic segmentation (Huang et al., BMVC 2017, arXiv 1707.06426).

    attention = sigmoid(1 / (relu(F) + 1/8) - 4)         F: (B, K, H, W), the direct branch's scores
    masked = attention * R                               R: (B, K, H, W), the reverse branch's

High where the direct branch sees no class: 0.98 for F <= 0, falling to 0.02. `variant="sigmoid"` is
the paper's first form, sigmoid(-F), which it replaces to converge better. No parameters. The
equation is the survey's quotation (arXiv 2204.07756, section 2.1.4); how the masked scores are then
fused with F (the paper's network subtracts them) is left to the network.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk.inputs import check_shape
from zoo.sdk.options import check_choice, check_int, check_number

NAME = "reverse_segmentation"
VARIANTS = ("paper", "sigmoid")


class ReverseSegmentation(nn.Module):
    """(scores, reverse scores) -> the reverse scores, masked; all (B, K, H, W).

    Args:
        num_classes: K; nothing depends on it.
        epsilon, shift: 1/8 and 4 in the equation.
        variant: `paper` or `sigmoid`.
        device, dtype: not used; there are no parameters.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        epsilon: float = 0.125,
        shift: float = 4.0,
        variant: str = "paper",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if num_classes is not None:
            check_int(NAME, "num_classes", num_classes)
        self.epsilon = check_number(NAME, "epsilon", epsilon)
        self.shift = check_number(NAME, "shift", shift, above=-float("inf"))
        self.variant = check_choice(NAME, "variant", variant, VARIANTS)

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
