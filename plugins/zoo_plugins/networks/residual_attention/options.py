"""The settings of an attention module, which all modules of a network share. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

NAME = "residual_attention"
MaskKind: TypeAlias = Literal["mixed", "channel", "spatial", "none"]
Learning: TypeAlias = Literal["arl", "nal"]
Form: TypeAlias = Literal["paper", "tengshaofeng"]
UnitKind: TypeAlias = Literal["preact_bottleneck", "resnext", "inception"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSettings:
    """What an attention module is built of; see `ResidualAttentionNetwork`."""

    p: int
    t: int
    r: int
    mask: MaskKind
    learning: Learning
    form: Form

    @property
    def port(self) -> bool:
        """Whether it is that of the popular PyTorch port."""
        return self.form == "tengshaofeng"


def mask_depths(strides: Sequence[int]) -> tuple[int, ...]:
    """How often the masks of each stage but the last pool, if all end at the size of the last map.

    That is as often as the strides that follow halve the map.
    """
    halvings = [stride.bit_length() - 1 for stride in strides]
    return tuple(sum(halvings[i:]) for i in range(1, len(halvings)))
