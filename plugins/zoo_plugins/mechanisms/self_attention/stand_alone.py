"""Stand-alone self-attention (Ramachandran et al., NeurIPS 2019, arXiv 1906.05909, section 3).

    y_o = sum_{p in N_k(o)} softmax_p(q_o . k_p + q_o . r_{p-o}) v_p                  (eq. 3)

N_k(o): the k x k window around o; r: learned, half of its channels by the vertical offset and half
by the horizontal one. It replaces a block's spatial convolution; a stride is average pooling.

x: (B, C_in, H, W), y: (B, C, H / s, W / s). The authors published no code, so `variant` says whose:

    paper             one softmax for each head; a head sees its own slice of the input channels;
                      positions outside the map are left out. The default.
    merhs             one softmax for all heads together; zeros around the map take part; the first
                      half of r is the horizontal one; strides skip positions; a bias of the output.
    leaderj1001       q k is not summed: one softmax for each channel, so that heads have no effect;
                      r is of all channels; heads see all input channels; zeros take part.
    leaderj1001-stem  for the first layer: as the former without r, and values are a mixture of m
                      transforms, softmax_m(e_m . (a_row + b_column)) at each place of the window.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk.options import (
    agree,
    check_bool,
    check_choice,
    check_divisible,
    check_int,
    refuse,
)
from zoo.sdk.precision import wide_einsum, widened
from zoo_plugins.mechanisms.self_attention.heads import down_pool, in_and_out

NAME = "stand_alone"
PAPER, MERHS, CHANNELWISE, STEM = "paper", "merhs", "leaderj1001", "leaderj1001-stem"
VARIANTS = (PAPER, MERHS, CHANNELWISE, STEM)


class StandAlone(nn.Module):
    """(B, C, H, W) -> the same shape, with the default stride and channels.

    Args:
        channels: C. in_channels, out_channels: where they differ.
        kernel_size: k, 7; odd, but in the stem.
        num_heads (groups, in the ports' terms): 8, lowered to what divides the channels. With
            in_channels, groups is that of the replaced convolution and not used.
        variant: as above.
        stride: 1.
        padding: k // 2, the only one that keeps the size; `merhs` takes any.
        rel_shared: the heads share r; `paper` only.
        mixtures: m, 4; of the stem.
        bias: of q, k and v; in `merhs` of the output.
        ceil_mode: pooling rounds odd sizes up, as a strided convolution does; True.
        dilation: of a replaced convolution; not used.
    """

    rel_h: Tensor
    rel_w: Tensor
    emb_a: Tensor
    emb_b: Tensor
    emb_mix: Tensor

    def __init__(
        self,
        channels: int,
        *,
        in_channels: int | None = None,
        out_channels: int | None = None,
        kernel_size: int = 7,
        num_heads: int | None = None,
        groups: int | None = None,
        variant: str = PAPER,
        stride: int = 1,
        padding: int | None = None,
        rel_shared: bool = True,
        mixtures: int = 4,
        bias: bool = False,
        ceil_mode: bool = True,
        dilation: int = 1,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        inputs, outputs = in_and_out(NAME, channels, in_channels, out_channels)
        self.variant = check_choice(NAME, "variant", variant, VARIANTS)
        heads = num_heads if in_channels else agree(NAME, num_heads=num_heads, groups=groups)
        grouped = variant in (PAPER, MERHS)
        self.num_heads = _check_heads(inputs if grouped else outputs, outputs, heads)
        self.kernel_size = k = check_int(NAME, "kernel_size", kernel_size)
        stride = check_int(NAME, "stride", stride)
        self.stride = stride if variant == MERHS else 1
        self.padding = k // 2 if padding is None else check_int(NAME, "padding", padding, 0)
        even = k % 2 == 0 and variant != STEM
        if variant != MERHS and (even or self.padding != k // 2):
            refuse(NAME, f"kernel_size={k} with padding={self.padding} does not keep the size")
        dd: Any = {"device": device, "dtype": dtype}
        bias = check_bool(NAME, "bias", bias)
        conv: Any = {"groups": self.num_heads if grouped else 1, **dd}
        conv["bias"] = bias and variant != MERHS
        self.query = nn.Conv2d(inputs, outputs, 1, **conv)
        self.key = nn.Conv2d(inputs, outputs, 1, **conv)
        self.value: nn.Module = nn.Conv2d(inputs, outputs, 1, **conv)
        dim = outputs // self.num_heads
        sizes: dict[str, tuple[int, ...]] = {}
        if variant == STEM:
            count = check_int(NAME, "mixtures", mixtures)
            self.value = nn.ModuleList(nn.Conv2d(inputs, outputs, 1, **conv) for _ in range(count))
            sizes = {"emb_a": (dim, k), "emb_b": (dim, k), "emb_mix": (count, dim)}
        else:
            first = (outputs if variant == CHANNELWISE else dim) // 2
            second = (outputs if variant == CHANNELWISE else dim) - first
            rows, columns = (second, first) if variant == MERHS else (first, second)
            shared = check_bool(NAME, "rel_shared", rel_shared)
            if not shared and variant != PAPER:
                refuse(NAME, f"rel_shared=False is of variant={PAPER!r} only")
            each = () if shared else (self.num_heads,)
            sizes = {"rel_h": (*each, rows, k), "rel_w": (*each, columns, k)}
        for name, size in sizes.items():
            self.register_parameter(name, nn.Parameter(torch.randn(size, **dd)))
        has_bias = bias and variant == MERHS
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1, **dd)) if has_bias else None
        self.down = down_pool(
            1 if variant == MERHS else stride, check_bool(NAME, "ceil", ceil_mode)
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.variant == PAPER:
            return self.down(self._per_head(x))
        padded = F.pad(x, (self.padding,) * 4)
        if self.variant == MERHS:
            return self._for_all_heads(padded)
        return self.down(self._per_channel(x, padded))

    def _per_head(self, x: Tensor) -> Tensor:
        q = self.query(x).unflatten(1, (self.num_heads, -1))
        k = self._windows(F.pad(self.key(x), (self.padding,) * 4)).unflatten(1, q.shape[1:3])
        v = self._windows(F.pad(self.value(x), (self.padding,) * 4)).unflatten(1, q.shape[1:3])
        logits = wide_einsum("bndhw,bndhwij->bnhwij", q, k)
        table = "dij" if self.rel_h.ndim == 2 else "ndij"
        logits = logits + wide_einsum(f"bndhw,{table}->bnhwij", q, self._offsets())
        inside = F.pad(x.new_ones(x.shape[2:]), (self.padding,) * 4)[None, None]
        logits = logits.masked_fill(self._windows(inside) == 0, float("-inf"))
        weights = logits.flatten(4).softmax(4).view_as(logits).to(v.dtype)
        return torch.einsum("bnhwij,bndhwij->bndhw", weights, v).flatten(1, 2)

    def _for_all_heads(self, padded: Tensor) -> Tensor:
        k, v = self._windows(self.key(padded)), self._windows(self.value(padded))
        rows, columns = k.shape[2:4]
        start, step = (self.kernel_size - 1) // 2, self.stride
        q = self.query(padded)[:, :, start::step, start::step][:, :, :rows, :columns]
        offsets = self._offsets()
        summed = q.unflatten(1, (self.num_heads, -1)).sum(1)
        logits = wide_einsum("bchw,bchwij->bhwij", q, k)
        logits = logits + wide_einsum("bdhw,dij->bhwij", summed, offsets)
        weights = logits.flatten(3).softmax(3).view_as(logits).to(v.dtype)
        y = torch.einsum("bhwij,bchwij->bchw", weights, v)
        return y if self.bias is None else y + self.bias

    def _per_channel(self, x: Tensor, padded: Tensor) -> Tensor:
        height, width = x.shape[2:]
        k = self._windows(self.key(padded))[:, :, :height, :width]
        if self.variant == STEM:
            v = self._mixture(padded)[:, :, :height, :width]
        else:
            k = k + self._offsets()[:, None, None]
            v = self._windows(self.value(padded))
        logits = widened(self.query(x))[..., None] * k.flatten(4)
        return (logits.softmax(4).to(v.dtype) * v.flatten(4)).sum(4)

    def _mixture(self, padded: Tensor) -> Tensor:
        """The stem's values in windows: m transforms, mixed by the place in the window."""
        assert isinstance(self.value, nn.ModuleList)
        places = self.emb_a[:, :, None] + self.emb_b[:, None, :]
        shares = torch.einsum("mc,cij->mij", self.emb_mix, places).softmax(0)
        mixed = [
            self._windows(value(padded)) * share
            for value, share in zip(self.value, shares, strict=True)
        ]
        return torch.stack(mixed).sum(0)

    def _offsets(self) -> Tensor:
        """r at each place of the window: (.., d, k, k)."""
        k = self.kernel_size
        rows = self.rel_h.unsqueeze(-1).expand(*self.rel_h.shape, k)
        columns = self.rel_w.unsqueeze(-2).expand(*self.rel_w.shape[:-1], k, k)
        return torch.cat((columns, rows) if self.variant == MERHS else (rows, columns), -3)

    def _windows(self, x: Tensor) -> Tensor:
        """(B, C, H + 2p, W + 2p) -> (B, C, H', W', k, k), a view."""
        return x.unfold(2, self.kernel_size, self.stride).unfold(3, self.kernel_size, self.stride)


def _check_heads(inputs: int, outputs: int, heads: int | None) -> int:
    """`heads`, or the most up to 8 that divide both, with an even width if there is one."""
    if heads is None:
        fits = [n for n in range(1, 9) if inputs % n == 0 and outputs % n == 0]
        return max(fits, key=lambda n: (outputs // n % 2 == 0, n))
    heads = check_int(NAME, "num_heads", heads)
    check_divisible(NAME, "in_channels", inputs, "num_heads", heads)
    check_divisible(NAME, "out_channels", outputs, "num_heads", heads)
    return heads


def from_authors(state: Mapping[str, Tensor], module: StandAlone) -> dict[str, Tensor]:
    """The ports' names and shapes to ours."""
    own = module.state_dict()
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = key.replace("_conv.", ".").replace("weight_", "")
        name = {"relative_x": "rel_w", "relative_y": "rel_h"}.get(name, name)
        fits = name.startswith("rel_") and name in own and own[name].numel() == tensor.numel()
        found[name] = tensor.reshape(own[name].shape) if fits else tensor
    return found


def reference_call(module: StandAlone, x: Tensor) -> dict[str, Tensor]:
    """What a reference case records: y, or of the paper's equation what no border touches."""
    y, border = module(x), module.kernel_size // 2
    inner = y[:, :, border : y.shape[2] - border, border : y.shape[3] - border]
    return {"y": y, "interior": inner}
