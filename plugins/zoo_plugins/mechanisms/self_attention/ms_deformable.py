"""Multi-scale deformable attention (Zhu et al., Deformable DETR, ICLR 2021, arXiv 2010.04159, 4.1).

    y_q = W_o concat_h(sum_l sum_p A_hlqp V_hl(r_ql + o_hlqp / size_l)) + b_o              (eq. 3)
    A = softmax_(l, p)(W_A z_q + b_A),   o = W_D z_q + b_D,   V = W_V x + b_V

z: queries (B, N, C); r: reference points (B, N, L, 2), column and row, 0 to 1 over the map of level
l; x: the maps of L levels, (B, sum_l H_l W_l, C), flattened row by row; y: (B, N, C). V(.): V at a
place, bilinearly, zero beyond the map, with cells whose centres are (i + 1/2) / size. Each query
reads P places in each level and head, whatever the size of the maps, and compares no keys. A
reference of four numbers, a box (centre and size), moves the places by o / P times half the box.

Of tokens alone, each position of the levels is a query and its own place the reference, as in the
encoder of the paper. Parameter names are the authors', and so is the start: W_D and W_A are zero,
b_D points each head into a direction of its own, so that all places on one ray weigh the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import register_notrace_module
from torch import Tensor, nn

from zoo.errors import UsageError
from zoo.sdk import PositiveInt, Size
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import as_pair
from zoo_plugins.mechanisms.self_attention.heads import split_heads
from zoo_plugins.mechanisms.self_attention.token_mixer import carry_joint

NAME = "ms_deformable"
Shapes = Sequence[tuple[int, int]]


@register_notrace_module
class MSDeformable(nn.Module):
    """Queries (B, N, C) -> the same shape.

    Args:
        dim: C.
        num_heads: 8, or fewer if that does not divide C.
        head_dim: channels of a head, where these are given instead of the number of heads.
        feat_size: (H, W) of the map that tokens alone are.
        num_levels: L, 1.
        num_points: P, 4.
        spatial_shapes: (H, W) of each level, where `forward` is not given them.
    """

    def __init__(
        self,
        dim: int,
        *,
        feat_size: Size | None = None,
        num_heads: PositiveInt | None = None,
        head_dim: PositiveInt | None = None,
        num_levels: PositiveInt = 1,
        num_points: PositiveInt = 4,
        spatial_shapes: Sequence[tuple[PositiveInt, PositiveInt]] | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_heads, _ = split_heads(
            NAME, dim, num_heads=num_heads, head_dim=head_dim, default=8
        )
        self.num_levels, self.num_points = num_levels, num_points
        own = [] if feat_size is None else [as_pair(feat_size)]
        self.spatial_shapes = own if spatial_shapes is None else spatial_shapes
        places = self.num_heads * num_levels * num_points
        dd: Any = {"device": device, "dtype": dtype}
        self.sampling_offsets = nn.Linear(dim, 2 * places, **dd)
        self.attention_weights = nn.Linear(dim, places, **dd)
        self.value_proj = nn.Linear(dim, dim, **dd)
        self.output_proj = nn.Linear(dim, dim, **dd)
        self._start_in_a_ring()

    @torch.no_grad()
    def _start_in_a_ring(self) -> None:
        """Of each head, places at 1, 2, ..., P steps in its direction, all of one weight."""
        for layer in (self.sampling_offsets, self.attention_weights):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        angle = torch.arange(self.num_heads) * (2 * torch.pi / self.num_heads)
        ring = torch.stack([angle.cos(), angle.sin()], -1)
        ring = ring / ring.abs().amax(-1, keepdim=True)
        steps = torch.arange(1, self.num_points + 1)[:, None]
        ring = (ring[:, None, None] * steps).expand(-1, self.num_levels, -1, -1)
        self.sampling_offsets.bias.copy_(ring.flatten())
        for layer in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self,
        query: Tensor,
        reference_points: Tensor | None = None,
        value: Tensor | None = None,
        spatial_shapes: Shapes | None = None,
        padding_mask: Tensor | None = None,
    ) -> Tensor:
        """What each query reads.

        Args:
            query: z, (B, N, C).
            reference_points: r, (B, N, L, 2), or boxes (B, N, L, 4); the places of the map that the
                queries are, unless given.
            value: x, (B, sum_l H_l W_l, C); the queries, unless given.
            spatial_shapes: (H_l, W_l) of each level.
            padding_mask: bool (B, sum_l H_l W_l), True where V is set to zero.
        """
        value = query if value is None else value
        check_shape(NAME, "query", query, ("B", "N", self.value_proj.in_features))
        shapes = self._shapes(spatial_shapes, value)
        points = self._own_places(shapes, query) if reference_points is None else reference_points
        self._check_points(points)
        v = self.value_proj(value)
        if padding_mask is not None:
            v = v.masked_fill(padding_mask[..., None], 0.0)
        weights = self.attention_weights(query).unflatten(2, (self.num_heads, -1)).softmax(3)
        places = self._places(query, points, shapes)
        return self.output_proj(self._read(v, places, weights, shapes))

    def _own_places(self, shapes: Shapes, query: Tensor) -> Tensor:
        """Of each position of the levels, which the queries are, on all levels: (1, N, L, 2)."""
        wide: Any = {"device": query.device, "dtype": _precision(query)}
        centres = []
        for size in shapes:
            rows, columns = ((torch.arange(n, **wide) + 0.5) / n for n in size)
            grid = torch.stack([columns.expand(size), rows[:, None].expand(size)], -1)
            centres.append(grid.flatten(0, 1))
        places = torch.cat(centres)[None, :, None].expand(-1, -1, self.num_levels, -1)
        check_shape(NAME, "query", query, ("B", places.shape[1], query.shape[2]))
        return places

    def _places(self, query: Tensor, reference: Tensor, shapes: Shapes) -> Tensor:
        """Where V is read, (B, N, heads, L, P, 2), 0 to 1, in float32 at least."""
        offsets = self.sampling_offsets(query).to(_precision(query))
        offsets = offsets.unflatten(2, (self.num_heads, self.num_levels, self.num_points, 2))
        reference = reference.to(offsets.dtype)[:, :, None, :, None]
        if reference.shape[-1] == 4:
            return reference[..., :2] + offsets / self.num_points * reference[..., 2:] / 2
        sizes = [[width, height] for height, width in shapes]
        sizes = torch.tensor(sizes, device=query.device, dtype=offsets.dtype)
        return reference + offsets / sizes[:, None]

    def _read(self, v: Tensor, places: Tensor, weights: Tensor, shapes: Shapes) -> Tensor:
        """The weighted sum of what lies at the places, (B, N, C), level by level."""
        levels = v.split([height * width for height, width in shapes], 1)
        at = (2 * places - 1).transpose(1, 2).flatten(0, 1).unbind(2)  # B heads, N, P, 2
        weights = weights.transpose(1, 2).flatten(0, 1).unflatten(2, (self.num_levels, -1))
        terms = []
        for level, size, grid, weight in zip(levels, shapes, at, weights.unbind(2), strict=True):
            maps = level.mT.unflatten(1, (self.num_heads, -1)).flatten(0, 1).unflatten(2, size)
            found = F.grid_sample(maps.to(grid.dtype), grid, align_corners=False)
            terms.append(torch.einsum("bdnp,bnp->bdn", found.to(v.dtype), weight.to(v.dtype)))
        y = sum(terms[1:], terms[0])
        return y.unflatten(0, (-1, self.num_heads)).flatten(1, 2).mT

    def _shapes(self, given: Shapes | None, value: Tensor) -> Shapes:
        shapes = self.spatial_shapes if given is None else given
        shapes = [(int(height), int(width)) for height, width in shapes or ()]
        if len(shapes) != self.num_levels:
            raise UsageError(
                f"there are {self.num_levels} levels, but {len(shapes)} in spatial_shapes",
                where=f"attention '{NAME}'",
                remedy="spatial_shapes=[(H, W), ...]",
            )
        count = sum(height * width for height, width in shapes)
        check_shape(NAME, "value", value, ("B", count, self.value_proj.in_features))
        return shapes

    def _check_points(self, reference: Tensor) -> None:
        if reference.ndim != 4 or reference.shape[3] not in (2, 4):
            raise UsageError(
                f"reference_points has shape {tuple(reference.shape)}, not (B, N, L, 2 or 4)",
                where=f"attention '{NAME}'",
            )
        check_shape(
            NAME, "reference_points", reference, ("B", "N", self.num_levels, reference.shape[3])
        )

    @torch.no_grad()
    def take_over(self, attention: Any) -> bool:
        """Start from W_V and W_o of timm's `Attention`; not the same function."""
        carry_joint(self, {"value_proj": "v"}, attention, last="output_proj")
        return False


def _precision(x: Tensor) -> torch.dtype:
    """float32 at least: places are sums of small steps."""
    return torch.promote_types(x.dtype, torch.float32)


def reference_call(
    module: MSDeformable, query: Tensor, points: Tensor, value: Tensor, mask: Tensor | None = None
) -> Tensor:
    """A reference case records queries and flattened levels, whose sizes are in its settings."""
    return module(query, points, value, padding_mask=mask)
