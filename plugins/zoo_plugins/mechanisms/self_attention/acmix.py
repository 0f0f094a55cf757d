"""ACmix: self-attention and convolution from the same projections (Pan et al., CVPR 2022, arXiv
2111.14556, section 4).

    q, k, v = W_1 x + b_1, W_2 x + b_2, W_3 x + b_3                                     (stage 1)
    A_i = sum_j softmax_j(d^-1/2 q_i . (k_j + r_i - r_j)) v_j,   r = W_p p + b_p        (stage 2)
    F = DW(W_f [q; k; v]),   y = a A + b F

x: (B, C_in, H, W), y: (B, C, H / s, W / s), rounded up. A: j is in the k x k window around i, of a
map that is reflected at the border; p: column and row, each from -1 to 1; d: channels of a head. F:
W_f makes 9 maps of the 3 heads, for each channel of a head by itself, and DW, a 3 x 3 convolution
in d groups that starts as their 9 shifts, adds them. a, b: learned numbers, `rate1` and `rate2`,
from 1/2. The bias b_p has no effect: r_i is the same for all j.

Parameter names are the authors'. As in their code, the channels of A are (head, d) and those of F
(d, head), and are added so; DW has no bias. Their code fails with a dilation, with sides that the
stride does not divide, and on maps that are not larger than half a window; this does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from timm.layers import register_notrace_module
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveInt
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import only_this_size
from zoo_plugins.mechanisms.self_attention.banded import Line, Side, attend_windows, cut, remembered
from zoo_plugins.mechanisms.self_attention.heads import in_and_out, split_heads

NAME = "acmix"
TAPS = 3  # a side of the convolution that F is


@register_notrace_module
class ACmix(nn.Module):
    """(B, C, H, W) -> the same shape, with the default stride and channels.

    Args:
        channels: C. in_channels, out_channels: where they differ.
        num_heads: 4, or fewer if that does not divide C.
        head_dim: d, where that is given instead of the number of heads.
        kernel_size: k, of the attention's window, 7.
        stride: s, 1.
    """

    def __init__(
        self,
        channels: int,
        *,
        in_channels: PositiveInt | None = None,
        out_channels: PositiveInt | None = None,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        kernel_size: OddInt = 7,
        stride: PositiveInt = 1,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        inputs, outputs = in_and_out(channels, in_channels, out_channels)
        self.num_heads, width = split_heads(
            NAME, outputs, num_heads=num_heads, head_dim=head_dim, default=4
        )
        self.kernel_size, self.stride = kernel_size, stride
        dd: Any = {"device": device, "dtype": dtype}
        self.conv1, self.conv2, self.conv3 = (nn.Conv2d(inputs, outputs, 1, **dd) for _ in range(3))
        self.conv_p = nn.Conv2d(2, width, 1, **dd)
        self.fc = nn.Conv2d(3 * self.num_heads, TAPS**2, 1, bias=False, **dd)
        self.dep_conv = nn.Conv2d(
            TAPS**2 * width, outputs, TAPS, stride, 1, groups=width, bias=False, **dd
        )
        self.rate1, self.rate2 = (nn.Parameter(torch.full((1,), 0.5, **dd)) for _ in range(2))
        self._start_as_shifts()

    @torch.no_grad()
    def _start_as_shifts(self) -> None:
        """Each of the nine maps is moved by one place of the kernel."""
        shifts = torch.eye(TAPS**2).unflatten(1, (TAPS, TAPS))
        self.dep_conv.weight.copy_(shifts.expand_as(self.dep_conv.weight))

    def forward(self, x: Tensor) -> Tensor:
        check_shape(NAME, "x", x, ("B", self.conv1.in_channels, "H", "W"))
        x = only_this_size(x)
        q, k, v = self.conv1(x), self.conv2(x), self.conv3(x)
        return self.rate1 * self._attention(q, k, v) + self.rate2 * self._convolution(q, k, v)

    def _attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """A, (B, C, H', W')."""
        size = q.shape[2], q.shape[3]
        q, k, v = (t.unflatten(1, (self.num_heads, -1)).flatten(3).mT for t in (q, k, v))
        k = k - self.conv_p(_coordinates(size, k)).flatten(1).mT
        rows, columns = (reflected(n, self.kernel_size, self.stride) for n in size)
        y = attend_windows(q, k, v, (rows, columns), (size[1], size[1]))
        return y.mT.flatten(1, 2).unflatten(2, (len(rows.back), len(columns.back)))

    def _convolution(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """F, (B, C, H', W')."""
        heads = torch.cat([t.unflatten(1, (self.num_heads, -1)).flatten(3) for t in (q, k, v)], 1)
        maps = self.fc(heads).transpose(1, 2).flatten(1, 2)
        return self.dep_conv(maps.unflatten(2, q.shape[2:]))


def _coordinates(size: tuple[int, int], like: Tensor) -> Tensor:
    """p, (2, H, W)."""
    rows, columns = (torch.linspace(-1, 1, n, device=like.device).to(like.dtype) for n in size)
    return torch.stack([columns.expand(size), rows[:, None].expand(size)])


@remembered
def reflected(side: int, window: int, stride: int) -> Side:
    """One side of a map that is reflected at its ends, cut for every `stride`-th query."""
    reach, period = window // 2, max(1, 2 * (side - 1))
    around = [place % period for place in range(-reach, side + reach)]
    keys = [min(place, period - place) if side > 1 else 0 for place in around]
    queries = range(0, side, stride)
    return cut([Line(queries=queries, keys=keys, starts=queries)], window)


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """`channels` from the settings of the authors, which name those of both ends."""
    given = dict(options)
    if given.get("out_channels") is not None:
        given.setdefault("channels", given["out_channels"])
    return given
