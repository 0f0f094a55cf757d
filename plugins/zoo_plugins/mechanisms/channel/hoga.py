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

from zoo.sdk.identity import pair_hidden_units_, zero_
from zoo.sdk.options import (
    agree,
    check_choice,
    check_divisible,
    check_int,
    refuse,
)
from zoo_plugins.mechanisms.channel.hoga_gates import GATES, PlainSqueezeExcite, make_gate

Edge = tuple[str, int]
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
        num_groups, order: K, 4; the same number by both names.
        genotype: K (K + 1) / 2 pairs (gate, index), step after step; gates are `none`,
            `skip_connect`, `SE`, `SE_A_M`, `CBAM`, `sep_conv_3x3`, `dil_conv_3x3` and, of one plane
            for all channels, `sep_conv_3x3_spatial` and `dil_conv_3x3_spatial`.
        normal_concat: the steps that are joined, all unless given.
        reduction_group_se, reduction_out_se: of the two SE modules, 8.
        reduction_cbam: of the gates CBAM, SE and SE_A_M, 4.
        norm: must be `"batch"`.
        act_layer: not used (timm's builders hand one to every attention).
    """

    def __init__(
        self,
        channels: int,
        *,
        num_groups: int | None = None,
        order: int | None = None,
        genotype: Sequence[Sequence[Any]] = GENOTYPE,
        normal_concat: Sequence[int] | None = None,
        reduction_group_se: int = 8,
        reduction_out_se: int = 8,
        reduction_cbam: int = 4,
        norm: str = "batch",
        act_layer: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        channels = check_int("hoga", "channels", channels)
        check_choice("hoga", "norm", norm, ("batch",))
        counts = {"num_groups": num_groups, "order": order}
        for name, count in counts.items():
            _ = count is None or check_int("hoga", name, count)
        self.num_groups = agree("hoga", **counts) or 4
        check_divisible("hoga", "channels", channels, "num_groups", self.num_groups)
        edges = _edges(genotype, self.num_groups)
        self.indices = [index for _, index in edges]
        self.joined = _joined(normal_concat, self.num_groups)
        group = channels // self.num_groups
        reduction = check_int("hoga", "reduction_cbam", reduction_cbam)
        dd: Any = {"device": device, "dtype": dtype}
        self.gates = nn.ModuleList(make_gate(name, group, reduction, dd) for name, _ in edges)
        reduction = check_int("hoga", "reduction_group_se", reduction_group_se)
        self.group_se = PlainSqueezeExcite(group, reduction, **dd)
        self.fuse = nn.Sequential(
            nn.Conv2d(group * (len(self.joined) + 1), channels, 1, bias=False, **dd),
            nn.BatchNorm2d(channels, **dd),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 1, bias=False, **dd),
            nn.BatchNorm2d(channels, **dd),
        )
        reduction = check_int("hoga", "reduction_out_se", reduction_out_se)
        self.out_se = PlainSqueezeExcite(channels, reduction, **dd)

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


def _edges(genotype: Any, num_groups: int) -> list[Edge]:
    wanted = num_groups * (num_groups + 1) // 2
    if not isinstance(genotype, Sequence) or len(genotype) != wanted:
        refuse("hoga", f"genotype does not list {wanted} gates, as num_groups={num_groups} needs")
    edges: list[Edge] = []
    sizes = [step for step in range(1, num_groups + 1) for _ in range(step)]
    for pair, size in zip(genotype, sizes, strict=True):
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            refuse("hoga", f"genotype: {pair!r} is no pair (gate, index)")
        name = check_choice("hoga", "genotype", pair[0], GATES)
        index = check_int("hoga", "genotype", pair[1], 0)
        if index >= size:
            refuse("hoga", f"genotype: {tuple(pair)!r} in step {size} names a step not yet taken")
        edges.append((name, index))
    return edges


def _joined(normal_concat: Sequence[int] | None, num_groups: int) -> list[int]:
    """Of the steps, from 0."""
    if normal_concat is None:
        return list(range(num_groups))
    steps = [check_int("hoga", "normal_concat", step) - 1 for step in normal_concat]
    if any(step >= num_groups for step in steps):
        refuse("hoga", f"normal_concat={list(normal_concat)!r} is beyond {num_groups} steps")
    return steps
