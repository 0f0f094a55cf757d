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

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from zoo.sdk import Above, AtMost, Share, refuse

NAME = "adl"


class AttentionDropout(nn.Module):
    """(B, C, H, W) -> the same shape; the identity in eval.

    Args:
        drop_rate: probability of the drop mask in training, 0.75.
        gamma: threshold of the drop mask, relative to the map's maximum, 0.5.
    """

    def __init__(
        self, *, drop_rate: Share = 0.75, gamma: Annotated[float, Above(0), AtMost(1)] = 0.5
    ) -> None:
        super().__init__()
        self.drop_rate = drop_rate
        self.gamma = gamma

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


def read_keep_prob(options: Mapping[str, Any]) -> dict[str, Any]:
    """The authors' `keep_prob` is the probability that the mask is not used: 1 - drop_rate."""
    own = dict(options)
    kept = own.pop("keep_prob", None)
    if kept is None:
        return own
    if isinstance(kept, bool) or not isinstance(kept, int | float):
        refuse(NAME, f"keep_prob={kept!r} is not a finite number", "drop_rate=0.75")
    rate = round(1 - kept, 12)  # 1 - 0.7 is 0.30000000000000004
    if own.setdefault("drop_rate", rate) != rate:
        what = f"keep_prob={kept!r} and drop_rate={own['drop_rate']!r} contradict each other"
        refuse(NAME, what, "give one of keep_prob= and drop_rate=")
    return own


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
