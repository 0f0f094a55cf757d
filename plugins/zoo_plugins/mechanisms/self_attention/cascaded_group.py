"""Cascaded group attention (Liu et al., EfficientViT, CVPR 2023, arXiv 2305.07027, section 3.2).

    x_1' = x_1,   x_i' = x_i + y_{i-1}                                                    (eq. 3)
    q, k, v = BN(W_i x_i'),   q' = BN(D_i(q))
    y_i = softmax(d^-1/2 q'^T k + b_i) v,   y = BN(W_o relu([y_1, ..., y_h]))             (eq. 2)

x, y: (B, C, H, W). x_i: the i-th of h groups of C / h channels; each head attends to its own group,
to which the output of the head before is added, so that v has C / h channels too. q, k: (d, N).
W_i, W_o: 1x1 convolutions, D_i: depthwise, all without biases. b_i: learned, by the distances in
rows and columns of two places, `attention_biases` (h, M^2).

As in the authors' networks, it is computed in windows of M x M; a map that is no multiple of M is
padded with zeros below and right, which take part. With M the side of the map it is global. The
share of a batch norm in k that is the same for all places has no effect. Parameter names are
timm's. The last batch norm starts at zero, as the authors': with the residual around the block it
is the identity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from timm.models.efficientvit_msra import ConvNorm
from timm.models.swin_transformer import window_partition, window_reverse
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveFloat, PositiveInt, check_divisible, refuse
from zoo.sdk.inputs import check_shape
from zoo_plugins.mechanisms.self_attention.heads import largest_divisor

NAME = "cascaded_group"


class CascadedGroup(nn.Module):
    """(B, C, H, W) -> the same shape.

    Args:
        dim: C.
        num_heads: h, 4, or fewer if that does not divide C.
        key_dim: d, 16.
        attn_ratio: channels of v by d, so that they are C / h; of a single head, any.
        window_size: M, 7.
        kernel_size: of D_i, 5, or one for each head.
    """

    starts_at_zero = True  # the scale of the last norm does

    def __init__(
        self,
        dim: int,
        *,
        num_heads: PositiveInt | None = None,
        key_dim: PositiveInt = 16,
        attn_ratio: PositiveFloat | None = None,
        window_size: PositiveInt = 7,
        kernel_size: OddInt | Sequence[OddInt] = 5,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        heads = largest_divisor(dim, 4) if num_heads is None else num_heads
        check_divisible(NAME, "dim", dim, "num_heads", heads)
        group = dim // heads
        values = group if attn_ratio is None else int(attn_ratio * key_dim)
        if values < 1 or (heads > 1 and values != group):
            what = f"attn_ratio={attn_ratio:g} gives {values} channels of v at key_dim={key_dim}"
            refuse(NAME, f"{what}, not dim / num_heads = {group}", "leave attn_ratio= out")
        self.dim, self.side, self.parts = dim, window_size, [key_dim, key_dim, values]
        dd: Any = {"device": device, "dtype": dtype}
        self.qkvs = nn.ModuleList(ConvNorm(group, sum(self.parts), **dd) for _ in range(heads))
        self.dws = nn.ModuleList(
            ConvNorm(key_dim, key_dim, k, 1, k // 2, groups=key_dim, **dd)
            for k in _kernels(kernel_size, heads)
        )
        last = ConvNorm(values * heads, dim, bn_weight_init=0, **dd)
        self.proj = nn.Sequential(nn.ReLU(), last)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window_size**2, **dd))

    def forward(self, x: Tensor) -> Tensor:
        if not torch.jit.is_scripting():
            check_shape(NAME, "x", x, ("B", self.dim, "H", "W"))
        (height, width), side = x.shape[2:], self.side
        if (height, width) == (side, side):
            return self._window(x)
        x = F.pad(x, (0, -width % side, 0, -height % side)).permute(0, 2, 3, 1)
        windows = window_partition(x, (side, side)).permute(0, 3, 1, 2)
        windows = self._window(windows).permute(0, 2, 3, 1)
        y = window_reverse(windows, (side, side), x.shape[1], x.shape[2])
        return y[:, :height, :width].permute(0, 3, 1, 2)

    def _window(self, x: Tensor) -> Tensor:
        """y of maps (B, C, M, M)."""
        groups, biases = x.chunk(len(self.qkvs), 1), self.biases()
        made: list[Tensor] = []
        for head, (qkv, local) in enumerate(zip(self.qkvs, self.dws, strict=True)):
            group = groups[head] + made[-1] if made else groups[head]
            q, k, v = qkv(group).split(self.parts, 1)
            q, k, v = (t.flatten(2).mT[:, None] for t in (local(q), k, v))  # B, 1, M^2, d
            y = F.scaled_dot_product_attention(
                q, k, v, attn_mask=biases[head].to(q.dtype)[None, None]
            )
            made.append(y[:, 0].mT.unflatten(2, x.shape[2:]))
        return self.proj(torch.cat(made, 1))

    def biases(self) -> Tensor:
        """b, (h, M^2, M^2)."""
        place = torch.arange(self.side, device=self.attention_biases.device)
        apart = (place - place[:, None]).abs()
        table = self.attention_biases.unflatten(1, (self.side, self.side))
        b = table[:, apart[:, None, :, None], apart[None, :, None, :]]  # rows and columns apart
        return b.flatten(3).flatten(1, 2)


def _kernels(kernel_size: int | Sequence[int], heads: int) -> Sequence[int]:
    if isinstance(kernel_size, int):
        return [kernel_size] * heads
    if len(kernel_size) < heads:
        refuse(NAME, f"kernel_size={list(kernel_size)} is not one for each of {heads} heads")
    return kernel_size[:heads]


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The side of the authors' map, `resolution`: no window is larger, and without windows it is
    one.
    """
    read = dict(options)
    side, windows = read.pop("resolution", None), read.pop("local_window", True)
    if side is not None:
        given = read.get("window_size", 7)
        read["window_size"] = min(given, side) if windows else side
    elif not windows:
        refuse(NAME, "local_window=False needs the side of the map", "resolution=14")
    return read
