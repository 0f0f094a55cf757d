"""What halo and bottleneck attention share: timm's logits of content and of relative place."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo.sdk.precision import full_range, widened


class RelativeLogits:
    """A mixin of timm's layers, which have `scale`, `scale_pos_embed` and `pos_embed`."""

    def attention_weights(self: Any, q: Tensor, k: Tensor) -> Tensor:
        """softmax(d^-1/2 q k^T + q r), or d^-1/2 (q k^T + q r) where positions are scaled too.

        float16, which such logits would overflow, is computed in float32.

        Args:
            q: (..., M, d). k: (..., N, d).

        Returns:
            (..., M, N), in float32 if q and k are in float16.
        """
        q, k = widened(q), widened(k)
        if torch.jit.is_scripting():
            of_keys, of_places = self.logits(q, k)
        else:
            with full_range(q):
                of_keys, of_places = self.logits(q, k)
        factor = self.scale if self.scale_pos_embed else 1.0
        return (of_keys * self.scale + of_places * factor).softmax(-1)

    def logits(self: Any, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """q k^T, and q r, which `pos_embed` makes of q; (..., M, N) both."""
        places = self.pos_embed(q.to(self.pos_embed.height_rel.dtype))
        return q @ k.transpose(-2, -1), places
