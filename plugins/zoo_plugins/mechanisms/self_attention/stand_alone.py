"""Stand-alone self-attention (Ramachandran et al., NeurIPS 2019, arXiv 1906.05909, section 3).

    y_o = sum_{p in N_k(o)} softmax_p(q_o . k_p + q_o . r_{p-o}) v_p                  (eq. 3)

N_k(o): the k x k window around o, without what is outside the map; r: learned, half of its channels
by the vertical offset and half by the horizontal one. One softmax for each head, which sees its own
slice of the input channels. It replaces a block's spatial convolution; a stride is average pooling.

x: (B, C_in, H, W), y: (B, C, H / s, W / s). The authors published no code. Two ports compute other
things (`stand_alone_ports`); `stand_alone(..., variant=)` builds any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import Count, PositiveInt, refuse
from zoo.sdk.precision import wide_einsum
from zoo_plugins.mechanisms.self_attention.heads import down_pool, in_and_out
from zoo_plugins.mechanisms.self_attention.local_windows import (
    NAME,
    heads_of_both,
    offsets,
    require_odd,
    windows,
)
from zoo_plugins.mechanisms.self_attention.stand_alone_ports import (
    AllHeadsTogether,
    PerChannel,
    Stem,
)

Variant = Literal["paper", "merhs", "leaderj1001", "leaderj1001-stem"]


PORTS = {"merhs": AllHeadsTogether, "leaderj1001": PerChannel, "leaderj1001-stem": Stem}


class StandAlone(nn.Module):
    """The paper's: (B, C_in, H, W) -> (B, C, H / s, W / s).

    Args:
        inputs, outputs: C_in and C.
        kernel_size: k, odd.
        num_heads: up to 8, lowered to what divides the channels.
        stride: s. ceil_mode: its pooling rounds odd sizes up.
        rel_shared: the heads share r.
        bias: of q, k and v.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel_size: int,
        num_heads: int | None,
        stride: int,
        ceil_mode: bool,
        rel_shared: bool,
        bias: bool,
        **dd: Any,
    ) -> None:
        super().__init__()
        require_odd(kernel_size)
        self.num_heads = heads_of_both(inputs, outputs, num_heads)
        self.kernel_size, self.padding = kernel_size, kernel_size // 2
        conv: Any = {"groups": self.num_heads, "bias": bias, **dd}
        self.query = nn.Conv2d(inputs, outputs, 1, **conv)
        self.key = nn.Conv2d(inputs, outputs, 1, **conv)
        self.value = nn.Conv2d(inputs, outputs, 1, **conv)
        width = outputs // self.num_heads
        each = () if rel_shared else (self.num_heads,)
        self.rel_h = nn.Parameter(torch.randn(*each, width // 2, kernel_size, **dd))
        self.rel_w = nn.Parameter(torch.randn(*each, width - width // 2, kernel_size, **dd))
        self.down = down_pool(stride, ceil_mode)

    def forward(self, x: Tensor) -> Tensor:
        q = self.query(x).unflatten(1, (self.num_heads, -1))
        k = self._windows(self.key(x)).unflatten(1, (self.num_heads, -1))
        v = self._windows(self.value(x)).unflatten(1, (self.num_heads, -1))
        logits = wide_einsum("bndhw,bndhwij->bnhwij", q, k)
        table = "dij" if self.rel_h.ndim == 2 else "ndij"
        places = offsets(self.rel_h, self.rel_w)
        logits = logits + wide_einsum(f"bndhw,{table}->bnhwij", q, places)
        inside = self._windows(x.new_ones(x.shape[2:])[None, None])
        logits = logits.masked_fill(inside == 0, float("-inf"))
        weights = logits.flatten(4).softmax(4).view_as(logits).to(v.dtype)
        return self.down(torch.einsum("bnhwij,bndhwij->bndhw", weights, v).flatten(1, 2))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Version 0.1 pickled every variant under this class."""
        super().__setstate__(state)
        self.__class__ = PORTS.get(state.get("variant", "paper"), type(self))

    def _windows(self, x: Tensor) -> Tensor:
        return windows(F.pad(x, (self.padding,) * 4), self.kernel_size)


def stand_alone(
    channels: int,
    *,
    variant: Variant = "paper",
    in_channels: PositiveInt | None = None,
    out_channels: PositiveInt | None = None,
    kernel_size: PositiveInt = 7,
    num_heads: PositiveInt | None = None,
    stride: PositiveInt = 1,
    padding: Count | None = None,
    ceil_mode: bool = True,
    rel_shared: bool = True,
    mixtures: PositiveInt = 4,
    bias: bool = False,
    device: Any = None,
    dtype: Any = None,
) -> nn.Module:
    """Stand-alone attention: (B, C, H, W) -> the same shape, with the default stride and channels.

    Args:
        channels: C. in_channels, out_channels: where they differ.
        variant: `paper`, or a port's form: `merhs`, `leaderj1001`, `leaderj1001-stem`.
        kernel_size: k, 7; odd in the paper's form and in `leaderj1001`.
        num_heads: 8, lowered to what divides the channels.
        stride: 1.
        padding: of `merhs`, k // 2; the other forms have no other.
        ceil_mode: pooling rounds odd sizes up, as a strided convolution does; not of `merhs`.
        rel_shared: the heads share r; of `paper` only.
        mixtures: of the stem, 4.
        bias: of q, k and v; in `merhs` of the output.
    """
    both = in_and_out(channels, in_channels, out_channels)
    options: Any = {
        "kernel_size": kernel_size, "num_heads": num_heads, "stride": stride, "bias": bias,
        "device": device, "dtype": dtype,
    }  # fmt: skip
    if not rel_shared and variant != "paper":
        refuse(NAME, f"rel_shared=False is not of variant={variant!r}", "variant='paper'")
    if variant == "merhs":
        return AllHeadsTogether(*both, padding=padding, **options)
    if padding not in (None, kernel_size // 2):
        what = f"kernel_size={kernel_size} with padding={padding} does not keep the size"
        refuse(NAME, what, "leave padding= out")
    if variant == "paper":
        return StandAlone(*both, ceil_mode=ceil_mode, rel_shared=rel_shared, **options)
    if variant == "leaderj1001":
        return PerChannel(*both, ceil_mode=ceil_mode, **options)
    return Stem(*both, ceil_mode=ceil_mode, mixtures=mixtures, **options)


def read_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The ports call heads `groups`; beside `in_channels` these are a replaced convolution's."""
    options = dict(given)
    groups = options.pop("groups", None)
    if groups is None or options.get("in_channels") is not None:
        return options
    heads = options.get("num_heads")
    if heads not in (None, groups):
        what = f"num_heads={heads!r} and groups={groups!r} contradict each other"
        refuse(NAME, what, "give one of num_heads= and groups=")
    return {**options, "num_heads": groups}


def from_authors(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The ports' names and shapes to ours."""
    own = module.state_dict()
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = key.replace("_conv.", ".").replace("weight_", "")
        name = {"relative_x": "rel_w", "relative_y": "rel_h"}.get(name, name)
        fits = name.startswith("rel_") and name in own and own[name].numel() == tensor.numel()
        found[name] = tensor.reshape(own[name].shape) if fits else tensor
    return found


def reference_call(module: Any, x: Tensor) -> dict[str, Tensor]:
    """What a reference case records: y, or of the paper's equation what no border touches."""
    y, border = module(x), module.kernel_size // 2
    inner = y[:, :, border : y.shape[2] - border, border : y.shape[3] - border]
    return {"y": y, "interior": inner}
