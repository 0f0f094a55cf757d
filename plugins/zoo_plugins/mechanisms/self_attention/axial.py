"""Position-sensitive axial attention (Wang et al., ECCV 2020, arXiv 2003.07853, section 3.2).

    y_o = sum_p softmax_p(q_o . k_p + q_o . r^q_{p-o} + k_p . r^k_{p-o}) (v_p + r^v_{p-o})   (eq. 4)

over the column of o (or its row, `width=True`), p: all positions of that axis. r: learned, by the
offset, shared by the heads. q and k have half the channels of v.

x: (B, C, H, W), y: (B, C', H, W). As in the authors' code: q, k, v are batch-normed, so are the
three terms of the logits and the two of the output before they are summed (the biases of the former
have no effect); there is no scale. Indices are theirs: with i the query and j the key, q and v meet
column i - j + span - 1 of the table, k column j - i + span - 1. Parameter names are theirs,
`hight_block` included. An axis has one length, which their code calls `kernel_size`.

`block="block"` is their residual block in place of ResNet's bottleneck, and the default:

    y = relu(BN(W_up relu(A_w(A_h(relu(BN(W_down x)))))) + x)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveInt, Size, check_divisible, refuse
from zoo.sdk.activations import final_relu
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import as_pair

NAME = "axial"
EXPANSION = 2


def axial(
    channels: int,
    *,
    feat_size: Size,
    block: Literal["block", "attention"] = "block",
    out_channels: PositiveInt | None = None,
    num_heads: PositiveInt | None = None,
    stride: PositiveInt = 1,
    width: bool = False,
    downsample: bool | None = None,
    device: Any = None,
    dtype: Any = None,
) -> nn.Module:
    """Axial attention over a map of one size; (B, C, H, W) -> the same shape by default.

    Args:
        channels: C.
        feat_size: (H, W) of the input; one number where both are the same.
        block: `block` (both axes), or `attention` along one.
        out_channels: C', by default C; even in a block, whose inner width is C' / 2.
        num_heads: 8, lowered until each head has an even width.
        stride: average pooling of the output, 1.
        width: attend along the rows; of `attention` only.
        downsample: project the shortcut; by default where the shape changes; of `block` only.
    """
    size, out = as_pair(feat_size), channels if out_channels is None else out_channels
    dd: Any = {"stride": stride, "device": device, "dtype": dtype}
    if block == "attention":
        return AxialAttention(channels, out, size, _heads(channels, out, num_heads), width, **dd)
    check_divisible(NAME, "out_channels", out, "the expansion", EXPANSION)
    planes = out // EXPANSION
    return AxialBlock(channels, planes, size, _heads(planes, planes, num_heads), downsample, **dd)


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
        qkv = qkv.unflatten(1, (self.groups, -1)).unflatten(3, (lines, span)).transpose(2, 3)
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
        y = self.bn_output(pairs.flatten(4).flatten(1, 3))
        y = y.unflatten(1, (-1, 2)).unflatten(3, (lines, span)).sum(2)
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
        project = changes if downsample is None else downsample
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


def _heads(channels: int, out_channels: int, heads: int | None) -> int:
    """`heads`, or as many as can be: both widths divide, and each head's q is half of its v."""
    if heads is None:
        fits = [n for n in range(1, 9) if channels % n == 0 and out_channels % (2 * n) == 0]
        if not fits:
            refuse(NAME, f"{out_channels} channels cannot be halved for queries and keys")
        return fits[-1]
    check_divisible(NAME, "channels", channels, "num_heads", heads)
    check_divisible(NAME, "out_channels", out_channels, "2 * num_heads", 2 * heads)
    return heads


def read_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The authors' `planes`, a block's inner width, as half of the channels of its output."""
    options = dict(given)
    planes = options.pop("planes", None)
    if planes is None or options.get("block") == "attention":
        return options
    if options.setdefault("out_channels", EXPANSION * planes) != EXPANSION * planes:
        out = options["out_channels"]
        what = f"planes={planes!r} and out_channels={out!r} contradict each other"
        refuse(NAME, what, "give one of planes= and out_channels=")
    return options
