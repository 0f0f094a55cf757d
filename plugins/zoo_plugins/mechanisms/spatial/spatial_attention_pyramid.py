"""Spatial attention pyramid (Li et al., ECCV 2020, arXiv 2003.12979, section 3.2).

    e = embed(x)                              (B, E, H, W), three 3x3 convolutions
    s = relu(conv(relu(conv(relu(conv([x, resize(r)]))))))        shared semantic map, (B, E, H, W)
    p_k = pool_k(e),   a_k = softmax_hw(mlp_k(resize(s)))         of window k, at p_k's size
    v_k = sum_hw a_k p_k                                          (B, E)
    w = softmax_k(W2 relu(BN(W1 sum_k v_k)))                      per channel
    v = sum_k w_k v_k,   logits = W v

x: (B, C, H, W), features; r: (B, A, H', W'), objectness logits of the region proposals, resized
(bilinear, corners aligned) to x; logits: (B, D), of the domain; v: (B, E). `forward` gives logits
and v. Window -1 is the whole map, whose one weight is 1; window 1 is e itself. `pool="style"` has
means and standard deviations, 2 E channels. The paper's fusion is said to join the v_k; it weighs
them as in selective kernels. Gradients are reversed outside, for adversarial training.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveInt, Share, refuse
from zoo.sdk.inputs import check_shape

NAME = "spatial_attention_pyramid"
WHOLE = -1


class SpatialAttentionPyramid(nn.Module):
    """(features, proposal logits) -> domain logits (B, D) and the vector (B, E) they come from.

    Args:
        channels: C.
        num_anchors: A, 9.
        embed_channels: E, 256.
        reduced_channels: hidden width of the MLPs and of W1, 128.
        window_sizes: of the levels, (3, 9, 15, 21, -1). None may exceed the map.
        window_strides: of the pooling, one for each window (None: 1); by default all are 1.
        pool: `avg`, `max` or `style`.
        batch_norm: in the embedding and after W1, True; without it the embedding has biases.
        num_domains: D, 2.
        kernel_size: of the convolutions, odd, 3.
        drop_rate: after each convolution of the embedding, 0.5.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_anchors: PositiveInt = 9,
        embed_channels: PositiveInt = 256,
        reduced_channels: PositiveInt = 128,
        window_sizes: Sequence[PositiveInt | Literal[-1]] = (3, 9, 15, 21, WHOLE),
        window_strides: Sequence[PositiveInt | None] | None = None,
        pool: Literal["avg", "max", "style"] = "avg",
        batch_norm: bool = True,
        num_domains: PositiveInt = 2,
        kernel_size: OddInt = 3,
        drop_rate: Share = 0.5,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.channels, self.num_anchors, self.pool = channels, num_anchors, pool
        self.windows = _windows(window_sizes, window_strides)
        embed, reduced = embed_channels, reduced_channels
        dd: Any = {"device": device, "dtype": dtype}
        settings = (kernel_size, batch_norm, drop_rate, dd)
        pairs = [(channels, channels), (channels, embed), (embed, embed)]
        self.embedding = nn.Sequential(
            *(layer for pair in pairs for layer in _embed(*pair, *settings))
        )
        pairs[0] = (channels + num_anchors, channels)
        self.semantic = nn.Sequential(
            *(layer for pair in pairs for layer in _semantic(*pair, kernel_size, dd))
        )
        self.levels = nn.ModuleList(
            nn.Identity() if size == WHOLE else _mlp(embed, reduced, dd) for size, _ in self.windows
        )
        pooled = 2 * embed if pool == "style" else embed
        self.fc1 = nn.Linear(pooled, reduced, bias=False, **dd)
        self.norm = nn.BatchNorm1d(reduced, **dd) if batch_norm else nn.Identity()
        self.fc2 = nn.Linear(reduced, len(self.windows) * pooled, bias=False, **dd)
        self.predictor = nn.Linear(pooled, num_domains, **dd)

    def forward(self, feature: Tensor, rpn_logits: Tensor) -> tuple[Tensor, Tensor]:
        found = self.attend(feature, rpn_logits)
        return found["domain_logits"], found["semantic_vector"]

    def attend(self, feature: Tensor, rpn_logits: Tensor) -> dict[str, Tensor]:
        """Vector, the sum over levels (B, E), their weights (B, levels, E), and logits (B, D)."""
        check_shape(NAME, "feature", feature, ("B", self.channels, "H", "W"))
        shape = (feature.shape[0], self.num_anchors, "H", "W")
        check_shape(NAME, "rpn_logits", rpn_logits, shape)
        guide = _resize(rpn_logits, feature.shape[2:])
        semantic = self.semantic(torch.cat([feature, guide], 1))
        levels = self._levels(self.embedding(feature), semantic)
        total = levels.sum(1)
        hidden = F.relu(self.norm(self.fc1(total)))
        weights = self.fc2(hidden).unflatten(1, (len(self.windows), -1)).softmax(1)
        vector = (weights * levels).sum(1)
        return {
            "semantic_vector": vector,
            "level_sum": total,
            "level_weights": weights,
            "domain_logits": self.predictor(vector),
        }

    def _levels(self, x: Tensor, semantic: Tensor) -> Tensor:
        """The vector of each window, (B, levels, E)."""
        found: list[Tensor] = []
        for (size, stride), level in zip(self.windows, self.levels, strict=True):
            pooled = self._pool(x, size, stride)
            if size == WHOLE:
                found.append(pooled.flatten(1))
                continue
            logits = level(_resize(semantic, pooled.shape[2:]))
            attention = logits.flatten(2).softmax(2).transpose(1, 2)
            found.append((pooled.flatten(2) @ attention).squeeze(2))
        return torch.stack(found, 1)

    def _pool(self, x: Tensor, size: int, stride: int) -> Tensor:
        window = (x.shape[2], x.shape[3]) if size == WHOLE else (size, size)
        if size > min(x.shape[2:]):
            what = f"window {size} is larger than the map, {x.shape[2]} x {x.shape[3]}"
            refuse(NAME, what, f"a map of at least {size} x {size}, or smaller window_sizes=")
        if self.pool == "style":
            return style_pool(x, window, stride)
        if size == 1:
            return x
        return (F.avg_pool2d if self.pool == "avg" else F.max_pool2d)(x, window, stride)


def style_pool(x: Tensor, window: tuple[int, int], stride: int, eps: float = 1e-12) -> Tensor:
    """Mean and standard deviation of each window: (B, C, H, W) -> (B, 2C, H', W').

    In double precision, where the mean of squares less the square of the mean is exact enough.
    """
    wide = x.double()
    mean = F.avg_pool2d(wide, window, stride)
    variance = (F.avg_pool2d(wide.square(), window, stride) - mean.square()).clamp(min=0)
    return torch.cat([mean, (variance + eps).sqrt()], 1).to(x.dtype)


def _windows(sizes: Sequence[int], strides: Sequence[int | None] | None) -> list[tuple[int, int]]:
    """(size, stride) of each level; the stride of window 1 and of the whole map is 1."""
    if not sizes:
        refuse(NAME, "window_sizes names no window")
    steps = [1] * len(sizes) if strides is None else [s or 1 for s in strides]
    if len(steps) != len(sizes):
        refuse(NAME, f"{len(sizes)} window_sizes, but {len(steps)} window_strides")
    return [
        (size, 1 if size in (1, WHOLE) else step) for size, step in zip(sizes, steps, strict=True)
    ]


def _resize(x: Tensor, size: torch.Size) -> Tensor:
    if x.shape[2:] == size:
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=True)


def _embed(inputs: int, outputs: int, kernel: int, norm: bool, drop: float, dd: Any) -> Any:
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=not norm, **dd)
    last = nn.BatchNorm2d(outputs, **dd) if norm else nn.Identity()
    return conv, last, nn.ReLU(inplace=True), nn.Dropout(drop)


def _semantic(inputs: int, outputs: int, kernel: int, dd: Any) -> Any:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **dd), nn.ReLU(inplace=True)


def _mlp(inputs: int, hidden: int, dd: Any) -> nn.Sequential:
    """To one plane; a last bias would be taken out again by the softmax."""
    first, second = nn.Conv2d(inputs, hidden, 1, **dd), nn.Conv2d(hidden, hidden, 1, **dd)
    last = nn.Conv2d(hidden, 1, 1, bias=False, **dd)
    return nn.Sequential(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True), last)


def carry_keys(state: Mapping[str, Tensor], module: SpatialAttentionPyramid) -> dict[str, Tensor]:
    """The authors' names, less what has no effect: the MLP of the whole map, the last biases."""
    whole = {i for i, (size, _) in enumerate(module.windows) if size == WHOLE}
    names = {"shared_semantic": "semantic", "fc.0": "fc1", "fc.1": "norm", "split_fc.0": "fc2"}
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        level = re.match(r"semantic_list\.(\d+)\.(.*)", key)
        if level and (int(level[1]) in whole or level[2] == "4.bias"):
            continue
        key = re.sub(r"^semantic_list\.", "levels.", key)
        for theirs, ours in names.items():
            key = re.sub(rf"^{re.escape(theirs)}\.", f"{ours}.", key)
        found[key] = tensor
    return found


def reference_call(
    module: SpatialAttentionPyramid, feature: Tensor, rpn_logits: Tensor
) -> dict[str, Tensor]:
    """What a reference case records: all that `attend` gives."""
    return module.attend(feature, rpn_logits)


def example(channels: int, batch: int, generator: torch.Generator) -> tuple[dict[str, Any], Any]:
    """A map and coarser logits of three anchors."""
    shapes = ((channels, 8, 9), (3, 4, 5))
    options = {"num_anchors": 3, "window_sizes": (3, 5, WHOLE), "embed_channels": 16}
    return options, tuple(torch.randn(batch, *s, generator=generator) for s in shapes)
