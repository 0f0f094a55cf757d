"""Deformable attention of DAT (Xia et al., CVPR 2022, arXiv 2201.00520, section 3.2).

    q = W_q x,   o = conv1x1(gelu(LN(DW(q)))),   p = ref + s tanh(o) / size                 (eq. 4)
    k = W_k x(p),   v = W_v x(p)                                                            (eq. 5)
    y = W_o concat_h(softmax(d^-1/2 q_h k_h^T + B(ref_q - p)) v_h) + b_o                    (eq. 8)

x, y: (B, C, H, W). DW: depthwise, with the stride r, so that there are n = H W / r^2 places p,
which all queries share; they are made of each of G groups of channels by itself, by one network.
x(p): x at p, bilinearly, zero beyond the map, in coordinates that run from -1 to 1. d: channels of
a head. The bias of W_k has no effect.

B, the bias, by `position`: a table (heads, 2 H - 1, 2 W - 1) read bilinearly ("table"); an MLP of
the offset in logarithms ("log_cpb"); a table of queries and places as such ("fixed"); none, but a
3 x 3 depthwise convolution of q added to the output ("depthwise"); or none at all.

The authors changed the numbers in 2023, "dat++": ref is divided by size - 1, not size, which moves
it by half a place, so that the last lie beyond the map; s < 0, which means free offsets, clamps the
position, where "cvpr2022" takes the tanh of it. Weights of the paper need "cvpr2022".
Parameter names are the authors'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from timm.layers import LayerNorm2d, register_notrace_module
from torch import Tensor, nn

from zoo.sdk import PositiveInt, Size, check_divisible, refuse
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import as_pair, only_this_size, require_size
from zoo.sdk.precision import at_least_float32
from zoo_plugins.mechanisms.self_attention.heads import split_heads
from zoo_plugins.mechanisms.self_attention.token_mixer import carry_projections

NAME = "deformable"
Position = Literal["table", "log_cpb", "fixed", "depthwise"]
HIDDEN = 32  # of the MLP of the offsets


@register_notrace_module
class Deformable(nn.Module):
    """(B, C, H, W) -> the same shape.

    Args:
        dim: C.
        feat_size: (H, W). Only position="fixed" is bound to it.
        num_heads: 8, or fewer if that does not divide C.
        head_dim: d, where that is given instead of the number of heads.
        groups: G, 1; it divides the number of heads.
        stride: r, 1.
        kernel_size: of DW, padded by its half, or not at all if it is the stride; 5.
        offset_range_factor: s, 2; below 0, offsets are not bounded.
        position: of B, as above; None for none.
        offsets: False takes averages of r x r in the place of x(p), and no B.
        variant: the authors' code of "cvpr2022", or "dat++".
    """

    any_size = True  # but for position="fixed"

    def __init__(
        self,
        dim: int,
        *,
        feat_size: Size,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        groups: PositiveInt = 1,
        stride: PositiveInt = 1,
        kernel_size: PositiveInt = 5,
        offset_range_factor: float = 2.0,
        position: Position | None = "table",
        offsets: bool = True,
        variant: Literal["dat++", "cvpr2022"] = "dat++",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_heads, _ = split_heads(
            NAME, dim, num_heads=num_heads, head_dim=head_dim, default=8
        )
        check_divisible(NAME, "num_heads", self.num_heads, "groups", groups)
        self.groups, self.stride, self.factor = groups, stride, offset_range_factor
        self.position, self.cell_centres = position if offsets else None, variant == "cvpr2022"
        self.any_size = self.position != "fixed"
        padding = kernel_size // 2 if kernel_size != stride or self.cell_centres else 0
        dd: Any = {"device": device, "dtype": dtype}
        self.conv_offset = None
        if offsets:
            self.conv_offset = _offset_network(dim // groups, kernel_size, stride, padding, dd)
        elif self.cell_centres:
            refuse(NAME, "offsets=False is of the authors' later code alone", 'variant="dat++"')
        self.proj_q, self.proj_k, self.proj_v, self.proj_out = (
            nn.Conv2d(dim, dim, 1, **dd) for _ in range(4)
        )
        self.size = as_pair(feat_size)
        places = [(n + 2 * padding - kernel_size) // stride + 1 for n in self.size]
        self.rpe_table: Any = self._position_parameters(dim, places, dd)

    def _position_parameters(self, dim: int, places: list[int], dd: dict[str, Any]) -> Any:
        if self.position is None:
            return None
        if self.position == "depthwise":
            return nn.Conv2d(dim, dim, 3, padding=1, groups=dim, **dd)
        if self.position == "log_cpb":
            last = nn.Linear(HIDDEN, self.num_heads // self.groups, bias=False, **dd)
            return nn.Sequential(nn.Linear(2, HIDDEN, **dd), nn.ReLU(), last)
        shape = (2 * self.size[0] - 1, 2 * self.size[1] - 1)
        if self.position == "fixed":
            shape = (self.size[0] * self.size[1], places[0] * places[1])
        table = nn.Parameter(torch.empty(self.num_heads, *shape, **dd))
        return nn.init.trunc_normal_(table, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        check_shape(NAME, "x", x, ("B", self.proj_q.in_channels, "H", "W"))
        x = require_size(NAME, x, self.size) if self.position == "fixed" else only_this_size(x)
        q = self.proj_q(x)
        if self.conv_offset is None:
            sampled, bias = F.avg_pool2d(x, self.stride, ceil_mode=True), None
        else:
            places = self._places(q)
            sampled, bias = self._sample(x, places), self._bias(x, places)
        k, v = self.proj_k(sampled), self.proj_v(sampled)
        y = F.scaled_dot_product_attention(*map(self._heads, (q, k, v)), attn_mask=bias)
        y = y.mT.flatten(1, 2).unflatten(2, x.shape[2:])
        return self.proj_out(y + self.rpe_table(q) if self.position == "depthwise" else y)

    def _heads(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, heads, H W, d)."""
        return x.unflatten(1, (self.num_heads, -1)).flatten(3).mT

    def _groups(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B G, C / G, H, W)."""
        return x.unflatten(1, (self.groups, -1)).flatten(0, 1)

    def _places(self, q: Tensor) -> Tensor:
        """p, (B G, H', W', 2), (row, column) between -1 and 1."""
        assert self.conv_offset is not None
        offset = at_least_float32(self.conv_offset(self._groups(q))).permute(0, 2, 3, 1)
        size = offset.shape[1:3]
        ref = self._centres(size, offset)
        if self.factor < 0:
            free = offset + ref
            return free.tanh() if self.cell_centres else free.clamp(-1.0, 1.0)
        if self.factor == 0 and self.cell_centres:  # the authors' code bounds them above 0 only
            return offset + ref
        steps = [self.factor / self._span(n) for n in size]
        return offset.tanh() * torch.tensor(steps, device=q.device, dtype=offset.dtype) + ref

    def _span(self, side: int) -> int:
        """What the places of a side are divided by."""
        return side if self.cell_centres else max(1, side - 1)

    def _centres(self, size: Any, like: Tensor) -> Tensor:
        """Of the cells of a map, (H, W, 2)."""
        return _grid(
            [
                (torch.arange(n, device=like.device, dtype=like.dtype) + 0.5) / self._span(n)
                for n in size
            ]
        )

    def _sample(self, x: Tensor, places: Tensor) -> Tensor:
        """x(p), (B, C, H', W')."""
        found = F.grid_sample(self._groups(at_least_float32(x)), places.flip(3), align_corners=True)
        return found.unflatten(0, (-1, self.groups)).flatten(1, 2).to(x.dtype)

    def _bias(self, x: Tensor, places: Tensor) -> Tensor | None:
        """B, (heads, H W, n) of all maps or of each."""
        if self.position in (None, "depthwise"):
            return None
        if self.position == "fixed":
            return self.rpe_table.to(x.dtype)
        queries = self._queries(x, places).flatten(0, 1)
        away = queries[:, None] - places.flatten(1, 2)[:, None]  # B G, H W, n, 2
        if self.position == "log_cpb":
            away = away * 4
            away = away.sign() * (away.abs() + 1).log2() / 3
            bias = self.rpe_table(away.to(x.dtype)).permute(0, 3, 1, 2)
        else:
            table = at_least_float32(self.rpe_table).unflatten(0, (self.groups, -1))
            table = table.expand(x.shape[0], -1, -1, -1, -1).flatten(0, 1)
            bias = F.grid_sample(table, (away / 2).flip(3), align_corners=True).to(x.dtype)
        return bias.unflatten(0, (-1, self.groups)).flatten(1, 2)

    def _queries(self, x: Tensor, places: Tensor) -> Tensor:
        """Where the queries are, (H, W, 2)."""
        if self.cell_centres:
            return self._centres(x.shape[2:], places)
        wide: Any = {"device": x.device, "dtype": places.dtype}
        return _grid([torch.arange(n, **wide) / max(1, n - 1) for n in x.shape[2:]])

    @torch.no_grad()
    def take_over(self, attention: Any) -> bool:
        """Start from the projections of timm's `Attention`; it sees x at other places."""
        carry_projections((self.proj_q, self.proj_k, self.proj_v), self.proj_out, attention)
        return False


def _offset_network(width: int, kernel: int, stride: int, padding: int, dd: Any) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, kernel, stride, padding, groups=width, **dd),
        LayerNorm2d(width, eps=1e-5, **dd),
        nn.GELU(),
        nn.Conv2d(width, 2, 1, bias=False, **dd),
    )


def _grid(sides: list[Tensor]) -> Tensor:
    """Of rows and columns between 0 and 1, the grid (H, W, 2) between -1 and 1."""
    return torch.stack(torch.meshgrid(*sides, indexing="ij"), -1) * 2 - 1


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the authors: four switches, in the order in which their code heeds them."""
    given = dict(options)
    switches = {"dwc_pe": "depthwise", "fixed_pe": "fixed", "log_cpb": "log_cpb"}
    known = {name: given.pop(name) for name in (*switches, "use_pe") if name in given}
    on = [position for name, position in switches.items() if known.get(name)]
    if known:
        given.setdefault("position", (on or ["table"])[0] if known.get("use_pe", True) else None)
    if "no_off" in given:
        given.setdefault("offsets", not given.pop("no_off"))
    return given


def from_authors(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The names of the authors; without offsets, their network is there in vain."""
    named = {key.replace("conv_offset.1.norm.", "conv_offset.1."): t for key, t in state.items()}
    if getattr(module, "conv_offset", None) is None:
        named = {key: t for key, t in named.items() if not key.startswith("conv_offset.")}
    return named
