"""Attention-based dropout layer (Choe, Shim, CVPR 2019, arXiv 1908.10028).

    a = mean_c(x)                                   (B, 1, H, W), the self-attention map
    importance = sigmoid(a)
    drop = [a < gamma max_hw(a)]                    0 where the map is most discriminative
    y = x * drop        in training, with probability drop_rate
    y = x * importance  in training, otherwise
    y = x               in eval

x, y: (B, C, H, W), after a ReLU. One draw serves the whole batch, and nothing flows back through
the drop mask, as in the authors' TensorFlow code. No parameters.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk.options import agree, check_int, check_number, check_share

NAME = "adl"


class AttentionDropout(nn.Module):
    """(B, C, H, W) -> the same shape; the identity in eval.

    Args:
        channels: C; nothing depends on it.
        drop_rate: probability of the drop mask, 0.75. keep_prob: 1 - drop_rate, the authors' name.
        gamma: threshold of the drop mask, relative to the map's maximum, 0.5.
            drop_threshold: the same, the authors' name.
        act_layer, device, dtype: not used (timm's builders hand them to every attention).
    """

    def __init__(
        self,
        channels: int | None = None,
        *,
        drop_rate: float | None = None,
        keep_prob: float | None = None,
        gamma: float | None = None,
        drop_threshold: float | None = None,
        act_layer: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if channels is not None:
            check_int(NAME, "channels", channels)
        rate = agree(
            NAME,
            drop_rate=_rate("drop_rate", drop_rate),
            keep_prob=_rate("keep_prob", keep_prob, kept=True),
        )
        self.drop_rate = 0.75 if rate is None else float(rate)
        threshold = agree(NAME, gamma=gamma, drop_threshold=drop_threshold)
        self.gamma = check_number(NAME, "gamma", 0.5 if threshold is None else threshold, at_most=1)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Attend in training; `noise`, one number from [0, 1), decides instead of a new draw."""
        if not self.training:
            return x
        drawn = float(torch.rand(()) if noise is None else noise)  # on the CPU: no one waits for it
        if drawn + self.drop_rate >= 1:
            return x * self.drop_mask(x.detach().mean(1, keepdim=True))
        return x * torch.sigmoid(x.mean(1, keepdim=True))

    def drop_mask(self, attention: Tensor) -> Tensor:
        """0 where the attention (B, 1, H, W) is at least gamma times its maximum, 1 elsewhere."""
        threshold = attention.detach().amax((1, 2, 3), keepdim=True) * self.gamma
        return (attention < threshold).to(attention.dtype)

    def extra_repr(self) -> str:
        return f"drop_rate={self.drop_rate:g}, gamma={self.gamma:g}"

    def init_identity(self) -> float:
        """The identity in eval, as it is; returns 1."""
        return 1.0


def _rate(name: str, value: float | None, kept: bool = False) -> tuple[float, float] | None:
    """The option, and the drop rate that follows from it."""
    if value is None:
        return None
    share = check_share(NAME, name, value)
    return value, round(1 - share if kept else share, 12)  # 1 - 0.7 is 0.30000000000000004


def reference_call(module: AttentionDropout, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
    """What a reference case records: the output, both branches, eval, and the two maps."""
    attention = x.mean(1, keepdim=True)
    importance, mask = torch.sigmoid(attention), module.drop_mask(attention)
    y = module(x, noise)
    y_eval = module.eval()(x)
    return {
        "y": y,
        "y_drop": x * mask,
        "y_importance": x * importance,
        "y_eval": y_eval,
        "importance_map": importance,
        "drop_mask": mask,
    }
