"""Region attention (Shen et al., NeurIPS 2020; RANet).

    A, regions, r = construct(semantic, boundary)        see `region_construction.py`
    f = F(x),   Q = conv(f),   V = conv(f)
    c = conv(V_r + softmax_j(V_r . a_j V_j) V_j)         r of the representatives, j of all
    i = conv(c + softmax_j(c . a_j c_j) c_j)             j of the representatives
    y = G([f, conv(Q + softmax_j(Q . a_j i_j) i_j)])

x: (B, C, H, W), features; semantic: (B, K, H, W) and boundary: (B, 2, H, W), logits of a coarse
segmentation; y: (B, C', H, W). F, G and conv: 3 x 3 with batch norm and an activation; those of c
and i run along the list of representatives, in the order of their positions, and are kept as
three taps. a: the representatives' score. No logit is scaled.

Departures of the authors' code that are kept: their in-place batch norm's default activation, a
leaky ReLU of slope 0.01; its |weight| + 1e-5 is not. They run one image after another, so that in
training the norms see one image at a time; here, the batch. Gradients reach semantic and boundary
through A, where the authors' CUDA code has them wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import NonNegativeFloat, OddInt, PositiveInt, Share, refuse
from zoo.sdk.inputs import check_shape
from zoo_plugins.mechanisms.spatial.region_construction import (
    region_attention,
    region_map,
    representatives,
)

NAME = "region"
SLOPES = {"leaky_relu": 0.01, "relu": 0.0, "identity": 1.0}  # below zero


class Region(nn.Module):
    """(features, semantic logits, boundary logits) -> (B, channels, H, W).

    Args:
        in_channels: C.
        channels: C', 512.
        topk: representatives of a region, 8.
        threshold: of the mean attention above which two positions are of one region, 0.8.
        kernel_size: of the convolutions, odd, 3.
        bias: of the convolutions, False.
        negative_slope: of the leaky ReLUs, 0.01; 0 makes them ReLUs, and 1 the identity.
        drop_rate: of channels of y, in training, 0.1.
    """

    def __init__(
        self,
        in_channels: PositiveInt,
        *,
        channels: PositiveInt = 512,
        topk: PositiveInt = 8,
        threshold: float = 0.8,
        kernel_size: OddInt = 3,
        bias: bool = False,
        negative_slope: NonNegativeFloat = 0.01,
        drop_rate: Share = 0.1,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.topk, self.threshold = in_channels, topk, threshold
        settings = (kernel_size, bias, negative_slope, {"device": device, "dtype": dtype})
        self.feats = ConvNorm(nn.Conv2d, in_channels, channels, *settings)
        self.query = ConvNorm(nn.Conv2d, channels, channels, *settings)
        self.value = ConvNorm(nn.Conv2d, channels, channels, *settings)
        self.collect = ConvNorm(nn.Conv1d, channels, channels, *settings)
        self.interact = ConvNorm(nn.Conv1d, channels, channels, *settings)
        self.distribute = ConvNorm(nn.Conv2d, channels, channels, *settings)
        self.final = ConvNorm(nn.Conv2d, 2 * channels, channels, *settings)
        self.drop = nn.Dropout2d(drop_rate)

    def forward(self, feats: Tensor, semantic: Tensor, boundary: Tensor) -> Tensor:
        self._check(feats, semantic, boundary)
        attention = region_attention(semantic, boundary)
        region = region_map(attention, self.threshold)
        return self.interact_with(feats, *representatives(attention, region, self.topk))

    def interact_with(self, feats: Tensor, score: Tensor, chosen: Tensor) -> Tensor:
        """y, of the score and the choice of representatives, (B, HW) each."""
        feats = self.feats(feats)
        query, value = self.query(feats), self.value(feats).flatten(2).transpose(1, 2)
        place, present = _list_of(chosen)
        keys = value * score.unsqueeze(2)
        listed = value.gather(1, place.unsqueeze(2).expand(-1, -1, value.shape[2]))
        weight = score.gather(1, place).unsqueeze(2)
        collected = self.collect.along(listed + attend(listed, keys, value), present)
        seen = attend(collected, collected * weight, collected, present)
        regional = self.interact.along(collected + seen, present)
        tokens = query.flatten(2).transpose(1, 2)
        spread = attend(tokens, regional * weight, regional, present)
        context = query + spread.transpose(1, 2).unflatten(2, query.shape[2:])
        return self.drop(self.final(torch.cat([feats, self.distribute(context)], 1)))

    def _check(self, feats: Tensor, semantic: Tensor, boundary: Tensor) -> None:
        check_shape(NAME, "feats", feats, ("B", self.in_channels, "H", "W"))
        batch, size = feats.shape[0], feats.shape[2:]
        check_shape(NAME, "semantic", semantic, (batch, "K", *size))
        check_shape(NAME, "boundary", boundary, (batch, 2, *size))


class ConvNorm(nn.Module):
    """Convolution over a map or along a list, batch norm, activation."""

    def __init__(
        self,
        conv: Any,
        inputs: int,
        outputs: int,
        kernel: int,
        bias: bool,
        slope: float,
        dd: dict[str, Any],
    ) -> None:
        super().__init__()
        self.conv = conv(inputs, outputs, kernel, padding=kernel // 2, bias=bias, **dd)
        norm = nn.BatchNorm2d if conv is nn.Conv2d else nn.BatchNorm1d
        self.bn = norm(outputs, **dd)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.bn(self.conv(x)), self.slope)

    def along(self, x: Tensor, present: Tensor) -> Tensor:
        """Lists (B, R, C), some shorter: their tails are zero, and no norm sees them."""
        x = x * present.unsqueeze(2)
        x = self.conv(x.transpose(1, 2)).transpose(1, 2)
        entries = F.leaky_relu(self.bn(x[present]), self.slope)
        return torch.zeros_like(x).masked_scatter(present.unsqueeze(2), entries)


def _list_of(chosen: Tensor) -> tuple[Tensor, Tensor]:
    """(B, N) bool -> the chosen positions in order, padded at the end, and which are there."""
    counts = chosen.sum(1)
    order = chosen.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
    longest = int(counts.max()) if len(counts) else 1
    present = torch.arange(longest, device=chosen.device) < counts[:, None]
    return order[:, :longest], present


def attend(q: Tensor, k: Tensor, v: Tensor, present: Tensor | None = None) -> Tensor:
    """softmax(q k^T) v of (B, N, C), over the keys that are present."""
    mask = None if present is None else present[:, None]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)


def read_activation(options: Mapping[str, Any]) -> dict[str, Any]:
    """`activation`: "leaky_relu", "leaky_relu_<slope>", "relu" or "identity", as a slope."""
    own = dict(options)
    name = own.pop("activation", None)
    if name is None:
        return own
    found = re.fullmatch(r"leaky_relu_(\d*\.?\d+(?:e-?\d+)?)", str(name))
    slope = float(found[1]) if found else SLOPES.get(name)
    if slope is None:
        refuse(
            NAME,
            f"activation={name!r} is none of {', '.join(SLOPES)} and leaky_relu_<slope>",
            "negative_slope=0.01",
        )
    if own.setdefault("negative_slope", slope) != slope:
        refuse(
            NAME,
            f"activation={name!r} and negative_slope={own['negative_slope']!r} contradict each "
            "other",
            "give one of activation= and negative_slope=",
        )
    return own


def carry_keys(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The authors' names; of a convolution along a list, one column wide, the middle taps."""
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name, _, rest = key.partition("_conv.")
        layer, _, what = rest.partition(".")
        if name.startswith("conv_1x1_group"):
            continue  # never used
        if not rest:
            found[key] = tensor
            continue
        if name in ("collect", "interact") and (layer, what) == ("0", "weight"):
            tensor = tensor[..., tensor.shape[-1] // 2]
        found[f"{name}.{'conv' if layer == '0' else 'bn'}.{what}"] = tensor
    return found


def reference_call(
    module: Region, feats: Tensor, semantic: Tensor, boundary: Tensor
) -> dict[str, Tensor]:
    """What a reference case records: the output, the regions and who represents them."""
    attention = region_attention(semantic, boundary)
    region = region_map(attention, module.threshold)
    score, chosen = representatives(attention, region, module.topk)
    return {
        "y": module.interact_with(feats, score, chosen),
        "region_attention": attention,
        "region_map": region,
        "representative_score": score,
        "representative_mask": chosen.to(feats.dtype),
    }


def example(channels: int, batch: int, generator: torch.Generator) -> tuple[dict[str, Any], Any]:
    """Features, and logits of three classes and of boundaries."""
    shapes = ((channels, 5, 6), (3, 5, 6), (2, 5, 6))
    options = {"channels": 8, "topk": 3}
    return options, tuple(torch.randn(batch, *s, generator=generator) for s in shapes)
