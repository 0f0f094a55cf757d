"""Position-sensitive axial attention (Wang et al., ECCV 2020, arXiv 2003.07853, section 3.2).

    y_o = sum_p softmax_p(q_o . k_p + q_o . r^q_{p-o} + k_p . r^k_{p-o}) (v_p + r^v_{p-o})   (eq. 4)

over the column of o (or its row, `width=True`), p: all positions of that axis. r: learned, by the
offset, shared by the heads. q and k have half the channels of v.

x: (B, C, H, W), y: (B, C', H, W). As in the authors' code: q, k, v are batch-normed, so are the
three terms of the logits and the two of the output before they are summed (the biases of the former
have no effect); there is no scale. Indices are theirs: with i the query and j the key, q and v meet
column i - j + span - 1 of the table, k column j - i + span - 1. Parameter names are theirs,
`hight_block` included. The axis has one length, `kernel_size` or that of `feat_size`.

`block="block"` is their residual block in place of ResNet's bottleneck, and the default:

    y = relu(BN(W_up relu(A_w(A_h(relu(BN(W_down x)))))) + x)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk.activations import final_relu
from zoo.sdk.inputs import check_shape
from zoo.sdk.options import (
    agree,
    check_bool,
    check_choice,
    check_divisible,
    check_int,
    refuse,
)
from zoo_plugins.mechanisms.self_attention.heads import map_size

NAME = "axial"
EXPANSION = 2


def axial(
    channels: int,
    *,
    block: str = "block",
    feat_size: Any = None,
    kernel_size: int | None = None,
    planes: int | None = None,
    out_channels: int | None = None,
    groups: int | None = None,
    num_heads: int | None = None,
    stride: int = 1,
    width: bool = False,
    downsample: bool | None = None,
    bias: bool = False,
    device: Any = None,
    dtype: Any = None,
) -> nn.Module:
    """Axial attention over a map of one size; (B, C, H, W) -> the same shape by default.

    Args:
        channels: C.
        block: `block` (both axes), or `attention` along one.
        feat_size: (H, W) of the input. kernel_size: the span, where both are the same.
        planes: inner width of a block, C' / 2. out_channels: C', by default C.
        num_heads (groups, in the authors' terms): 8, lowered until each head has an even width.
        stride: average pooling of the output, 1.
        width: attend along the rows; of `attention` only.
        downsample: project the shortcut; by default where the shape changes; of `block` only.
        bias: not used (the authors' signature has it); must be False.
    """
    channels = check_int(NAME, "channels", channels)
    check_choice(NAME, "bias", bias, (False,))
    if feat_size is None and kernel_size is None:
        refuse(NAME, "the size of the map is missing", "feat_size=(14, 14)")
    size = map_size(NAME, kernel_size if feat_size is None else feat_size)
    heads = agree(NAME, num_heads=num_heads, groups=groups)
    dd: Any = {"stride": check_int(NAME, "stride", stride), "device": device, "dtype": dtype}
    if check_choice(NAME, "block", block, ("block", "attention")) == "attention":
        out = channels if out_channels is None else check_int(NAME, "out_channels", out_channels)
        heads = _check_heads(channels, out, heads)
        return AxialAttention(channels, out, size, heads, check_bool(NAME, "width", width), **dd)
    doubled = None if planes is None else (planes, EXPANSION * check_int(NAME, "planes", planes))
    out = agree(NAME, planes=doubled, out_channels=out_channels)
    out = channels if out is None else check_int(NAME, "out_channels", out)
    check_divisible(NAME, "out_channels", out, "the expansion", EXPANSION)
    heads = _check_heads(out // EXPANSION, out // EXPANSION, heads)
    return AxialBlock(channels, out // EXPANSION, size, heads, downsample, **dd)


class AxialAttention(nn.Module):
    """Attention along one axis: (B, C, H, W) -> (B, C', H / stride, W / stride)."""

    def __init__(
        self,
        channels: int,
        out_channels: int,
        size: tuple[int, int],
        groups: int,
        width: bool,
        stride: int = 1,
        **dd: Any,
    ) -> None:
        super().__init__()
        self.size, self.groups, self.along_width = size, groups, width
        self.group_planes = out_channels // groups
        span = size[1] if width else size[0]
        self.span = span
        self.qkv_transform = nn.Conv1d(channels, 2 * out_channels, 1, bias=False, **dd)
        self.bn_qkv = nn.BatchNorm1d(2 * out_channels, **dd)
        self.bn_similarity = nn.BatchNorm2d(3 * groups, **dd)
        self.bn_output = nn.BatchNorm1d(2 * out_channels, **dd)
        self.relative = nn.Parameter(torch.empty(2 * self.group_planes, 2 * span - 1, **dd))
        self.pooling = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As the authors."""
        nn.init.normal_(self.qkv_transform.weight, std=self.qkv_transform.in_channels**-0.5)
        nn.init.normal_(self.relative, std=self.group_planes**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        if not torch.jit.is_scripting():
            check_shape(NAME, "x", x, ("B", self.qkv_transform.in_channels, *self._size()))
        batch, _, height, width = x.shape
        x = x if self.along_width else x.transpose(2, 3)  # the axis comes last
        qkv = self.bn_qkv(self.qkv_transform(x.flatten(2)))
        lines, span = x.shape[2:]
        qkv = qkv.view(batch, self.groups, -1, lines, span).transpose(2, 3)
        half = self.group_planes // 2
        q, k, v = qkv.split((half, half, self.group_planes), 3)  # B, heads, lines, ., span
        r_q, r_k, r_v = self._embeddings().split((half, half, self.group_planes), 0)
        of_query = torch.einsum("bglci,cij->bglij", q, r_q)
        of_key = torch.einsum("bglcj,cji->bglij", k, r_k)
        terms = torch.stack((q.transpose(3, 4) @ k, of_query, of_key), 1)
        del of_query, of_key  # each as large as the logits
        weights = self._normed(terms).softmax(4)
        values = v @ weights.transpose(3, 4), torch.einsum("bglij,cij->bglci", weights, r_v)
        pairs = torch.stack(values, 4).permute(0, 1, 3, 4, 2, 5)  # B, heads, ., 2, lines, span
        y = self.bn_output(pairs.reshape(batch, -1, lines * span))
        y = y.view(batch, -1, 2, lines, span).sum(2)
        return self.pooling(y if self.along_width else y.transpose(2, 3))

    def _size(self) -> tuple[int | str, int | str]:
        return ("H", self.span) if self.along_width else (self.span, "W")

    def _normed(self, terms: Tensor) -> Tensor:
        """The sum of the three batch-normed terms, (B, 3, heads, lines, span, span)."""
        stacked = terms.flatten(1, 2)
        return self.bn_similarity(stacked.flatten(2, 3)).view_as(terms).sum(1)

    def _embeddings(self) -> Tensor:
        """The table by query i and key j, (2 C' / heads, span, span)."""
        index = torch.arange(self.span, device=self.relative.device)
        return self.relative[:, index[:, None] - index[None, :] + self.span - 1]


class AxialBlock(nn.Module):
    """The residual block: (B, C, H, W) -> (B, 2 planes, H / stride, W / stride), not negative."""

    def __init__(
        self,
        channels: int,
        planes: int,
        size: tuple[int, int],
        groups: int,
        downsample: bool | None,
        stride: int = 1,
        **dd: Any,
    ) -> None:
        super().__init__()
        out = EXPANSION * planes
        changes = stride > 1 or channels != out
        project = changes if downsample is None else check_bool(NAME, "downsample", downsample)
        if changes and not project:
            refuse(NAME, "the shortcut does not fit the output", "downsample=True")
        self.conv_down = nn.Conv2d(channels, planes, 1, bias=False, **dd)
        self.bn1 = nn.BatchNorm2d(planes, **dd)
        self.hight_block = AxialAttention(planes, planes, size, groups, False, **dd)
        self.width_block = AxialAttention(planes, planes, size, groups, True, stride, **dd)
        self.conv_up = nn.Conv2d(planes, out, 1, bias=False, **dd)
        self.bn2 = nn.BatchNorm2d(out, **dd)
        self.downsample = nn.Identity()
        if project:
            shortcut = nn.Conv2d(channels, out, 1, stride, bias=False, **dd)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(out, **dd))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv_down(x)))
        y = torch.relu(self.width_block(self.hight_block(y)))
        return final_relu(self.bn2(self.conv_up(y)) + self.downsample(x))


def _check_heads(channels: int, out_channels: int, heads: int | None) -> int:
    """`heads`, or as many as can be: both widths divide, and each head's q is half of its v."""
    if heads is None:
        fits = [n for n in range(1, 9) if channels % n == 0 and out_channels % (2 * n) == 0]
        if not fits:
            refuse(NAME, f"{out_channels} channels cannot be halved for queries and keys")
        return fits[-1]
    heads = check_int(NAME, "num_heads", heads)
    check_divisible(NAME, "channels", channels, "num_heads", heads)
    check_divisible(NAME, "out_channels", out_channels, "2 * num_heads", 2 * heads)
    return heads
