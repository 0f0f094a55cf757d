"""High-order group attention (Ma, Zhang, Xia, Tao, NeurIPS 2020: Auto Learning Attention, AutoLA).

    x is split into K groups g_1 .. g_K of C/K channels; one step for each group:
    s_i = sum of the gates of step i, each on g_i (index 0) or on an earlier s_j (index j)
    h = [s_1, .., s_K, SE(g_1 + .. + g_K)]
    y = SE(x + BN(conv1x1(relu(BN(conv1x1(h))))))

x, y: (B, C, H, W). Step i takes i gates, listed as pairs (name, index) in `genotype`, by default
those the authors found for K = 4. The SE modules have no biases and hidden widths of channels // r:
none at all where that is 0 (as for 16 channels in the authors' ResNet-20), a gate of 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk import Count, PositiveInt, check_divisible, pair_hidden_units_, refuse, zero_
from zoo_plugins.mechanisms.channel.hoga_gates import Gate, PlainSqueezeExcite, make_gate

Edge = tuple[Gate, Count]
GENOTYPE: tuple[Edge, ...] = (
    ("skip_connect", 0),
    ("sep_conv_3x3_spatial", 0), ("sep_conv_3x3", 1),
    ("CBAM", 0), ("skip_connect", 2), ("sep_conv_3x3", 1),
    ("sep_conv_3x3", 0), ("skip_connect", 1), ("sep_conv_3x3", 3), ("dil_conv_3x3", 2),
)  # fmt: skip


class HighOrderGroupAttention(nn.Module):
    """(B, C, H, W) -> the same shape.

    Args:
        channels: C, a multiple of the number of groups.
        num_groups: K, 4.
        genotype: K (K + 1) / 2 pairs (gate, index), step after step; gates are `none`,
            `skip_connect`, `SE`, `SE_A_M`, `CBAM`, `sep_conv_3x3`, `dil_conv_3x3` and, of one plane
            for all channels, `sep_conv_3x3_spatial` and `dil_conv_3x3_spatial`.
        normal_concat: the steps that are joined, all unless given.
        reduction_group_se, reduction_out_se: of the two SE modules, 8.
        reduction_cbam: of the gates CBAM, SE and SE_A_M, 4.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_groups: PositiveInt = 4,
        genotype: Sequence[Edge] = GENOTYPE,
        normal_concat: Sequence[PositiveInt] | None = None,
        reduction_group_se: PositiveInt = 8,
        reduction_out_se: PositiveInt = 8,
        reduction_cbam: PositiveInt = 4,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_divisible("hoga", "channels", channels, "num_groups", num_groups)
        _check_edges(genotype, num_groups)
        self.num_groups = num_groups
        self.indices = [index for _, index in genotype]
        self.joined = _joined(normal_concat, num_groups)
        group = channels // num_groups
        dd: Any = {"device": device, "dtype": dtype}
        self.gates = nn.ModuleList(
            make_gate(name, group, reduction_cbam, dd) for name, _ in genotype
        )
        self.group_se = PlainSqueezeExcite(group, reduction_group_se, **dd)
        self.fuse = nn.Sequential(
            nn.Conv2d(group * (len(self.joined) + 1), channels, 1, bias=False, **dd),
            nn.BatchNorm2d(channels, **dd),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 1, bias=False, **dd),
            nn.BatchNorm2d(channels, **dd),
        )
        self.out_se = PlainSqueezeExcite(channels, reduction_out_se, **dd)

    def forward(self, x: Tensor) -> Tensor:
        groups = x.chunk(self.num_groups, 1)
        steps: list[Tensor] = []
        edge = 0
        for group in groups:
            states = [group, *steps]
            terms = [
                self.gates[e](states[self.indices[e]]) for e in range(edge, edge + len(states))
            ]
            edge += len(states)
            step = terms[0]
            for term in terms[1:]:
                step = step + term
            steps.append(step)
        total = x.unflatten(1, (self.num_groups, -1)).sum(1)
        joined = torch.cat([*(steps[i] for i in self.joined), self.group_se(total)], 1)
        return self.out_se(x + self.fuse(joined))

    def init_identity(self) -> float:
        """Start as 0.5 x by a zero last norm and a paired last SE; returns 0.5."""
        zero_(self.fuse[-1])
        pair_hidden_units_(self.out_se.fc1, self.out_se.fc2)
        return 0.5


def _check_edges(genotype: Sequence[Edge], num_groups: int) -> None:
    """Step i lists i gates, each on the group or on a step before it."""
    sizes = [step for step in range(1, num_groups + 1) for _ in range(step)]
    if len(genotype) != len(sizes):
        what = f"genotype does not list {len(sizes)} gates, as num_groups={num_groups} needs"
        refuse("hoga", what)
    for edge, size in zip(genotype, sizes, strict=True):
        if edge[1] >= size:
            refuse("hoga", f"genotype: {tuple(edge)!r} in step {size} names a step not yet taken")


def _joined(normal_concat: Sequence[int] | None, num_groups: int) -> list[int]:
    """Of the steps, from 0."""
    steps = range(1, num_groups + 1) if normal_concat is None else normal_concat
    if any(step > num_groups for step in steps):
        refuse("hoga", f"normal_concat={normal_concat!r} is beyond {num_groups} steps")
    return [step - 1 for step in steps]
