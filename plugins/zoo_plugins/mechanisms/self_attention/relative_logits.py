"""What halo and bottleneck attention share: timm's logits of content and of relative place."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from zoo.sdk.precision import full_range, widened


def attention_weights(layer: Any, q: Tensor, k: Tensor) -> Tensor:
    """softmax(d^-1/2 q k^T + q r), or d^-1/2 (q k^T + q r) where the layer scales positions too.

    float16, which such logits would overflow, is computed in float32.

    Args:
        layer: timm's, with `scale`, `scale_pos_embed` and `pos_embed`, which makes q r of q.
        q: (..., M, d). k: (..., N, d).

    Returns:
        (..., M, N), in float32 if q and k are in float16.
    """
    q = widened(q)
    rel = layer.pos_embed.height_rel
    with full_range(q):
        of_keys = q @ widened(k).transpose(-2, -1)
        of_places = layer.pos_embed(q.to(rel.dtype))
    factor = layer.scale if layer.scale_pos_embed else 1.0
    return (of_keys * layer.scale + of_places * factor).softmax(-1)
