"""Grad-CAM (Selvaraju et al., ICCV 2017, arXiv 1610.02391): which positions a class score rests on.

w_k = mean_hw d score / d f_k,        A = relu(sum_k w_k f_k)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import UsageError


class Cam(NamedTuple):
    """logits (B, K), channel weights (B, C), attention (B, 1, H, W) of one class an image."""

    logits: Tensor
    weights: Tensor
    attention: Tensor


def grad_cam(
    features: Tensor,
    head: Callable[[Tensor], Tensor],
    labels: Tensor | Sequence[int] | None = None,
    *,
    create_graph: bool = False,
) -> Cam:
    """The map of one class for each image; works under `no_grad` and `inference_mode` too.

    Args:
        features: f (B, C, H, W). head: from f to logits (B, K).
        labels: the class of each image, (B,); None is the class of the largest logit.
        create_graph: let a loss on the map train what the map was made of.
    """
    with torch.inference_mode(False), torch.enable_grad():
        if not features.requires_grad:
            features = features.clone().detach().requires_grad_()
        logits = head(features)
        index = logits.argmax(1) if labels is None else class_index(labels, logits)
        score = logits.gather(1, index.unsqueeze(1)).sum()
        (gradient,) = torch.autograd.grad(
            score, features, create_graph=create_graph, retain_graph=True
        )
        weights = gradient.mean((2, 3))
        attention = torch.relu(torch.einsum("bc,bchw->bhw", weights, features)).unsqueeze(1)
    found = Cam(logits, weights, attention)
    return found if create_graph else Cam(*(tensor.detach() for tensor in found))


def class_index(labels: Tensor | Sequence[int], logits: Tensor) -> Tensor:
    """Labels as int64 (B,), one for each row of the logits, each one of its classes."""
    index = torch.as_tensor(labels, device=logits.device)
    rows, classes = logits.shape
    if index.shape != (rows,) or bool(((index < 0) | (index >= classes)).any()):
        raise UsageError(
            f"labels={index.tolist()!r} are not {rows} classes of 0 to {classes - 1}",
            where="class attention",
            remedy="one label for each image",
        )
    return index.long()


def min_max(attention: Tensor) -> Tensor:
    """Each image's map brought to [0, 1]; a constant map becomes zero."""
    low, high = attention.aminmax(dim=-1)
    low, high = low.amin(-1, keepdim=True), high.amax(-1, keepdim=True)
    span = (high - low).unsqueeze(-1)
    return (attention - low.unsqueeze(-1)) / span.masked_fill(span == 0, 1)


def resize(attention: Tensor, size: Sequence[int], align_corners: bool = False) -> Tensor:
    """Bilinear, to (H, W)."""
    height, width = size
    return F.interpolate(attention, (height, width), mode="bilinear", align_corners=align_corners)
