"""The modules that live at a site: an attention, and how its output is combined.

`plain` f(x); `exact` f(x) / c, where the attention starts as c x; `residual` x + alpha (f(x) - x)
with alpha learned from 0, or from a little more where f is built as x itself (`starts`). What stood
at the site before (a drop path, an activation) is kept as `base`: it has no parameters, so no key
of the backbone moves.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.insertion.starts import start_branch


class Attended(nn.Module):
    """f(x) at a site, on a map (B, C, H, W), or (B, H, W, C) with `channels_last`."""

    def __init__(
        self,
        attn: nn.Module,
        base: nn.Module | None = None,
        *,
        base_first: bool = False,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self.attn = attn
        self.base = base if base is not None else nn.Identity()
        self.base_first, self.channels_last = base_first, channels_last

    def combine(self, x: Tensor) -> Tensor:
        """f(x)."""
        return self.attn(x)

    def forward(self, x: Tensor) -> Tensor:
        if self.base_first:
            x = self.base(x)
        if self.channels_last:
            x = self.combine(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        else:
            x = self.combine(x)
        return x if self.base_first else self.base(x)


class ScaledAttended(Attended):
    """f(x) * gate_scale, where gate_scale = 1/c undoes the constant c at which f starts."""

    gate_scale: Tensor

    def __init__(
        self, attn: nn.Module, base: nn.Module | None = None, *, gate: float, **where: bool
    ):
        super().__init__(attn, base, **where)
        self.register_buffer("gate_scale", torch.tensor(1.0 / gate))

    def combine(self, x: Tensor) -> Tensor:
        """f(x) / c."""
        return self.attn(x) * self.gate_scale.to(x.dtype)


class ResidualAttended(Attended):
    """x + alpha (f(x) - x): with alpha = 0, any f goes in without moving the logits.

    Args:
        alpha: at the start; `zoo.insertion.starts` says when it is not 0.
    """

    def __init__(
        self, attn: nn.Module, base: nn.Module | None = None, *, alpha: float = 0.0, **where: bool
    ) -> None:
        super().__init__(attn, base, **where)
        self.alpha = nn.Parameter(torch.full((), alpha))

    def combine(self, x: Tensor) -> Tensor:
        """x + alpha (f(x) - x)."""
        return x + self.alpha.to(x.dtype) * (self.attn(x) - x)


class AddedBranch(nn.Module):
    """alpha f(x), what is added beside a convolution that stays. alpha is 0 at the start, or 0.01
    where f starts at 0.
    """

    def __init__(self, attn: nn.Module) -> None:
        super().__init__()
        self.attn = attn
        self.alpha = nn.Parameter(torch.full((), start_branch(attn)))

    def forward(self, x: Tensor) -> Tensor:
        return self.alpha.to(x.dtype) * self.attn(x)


class PatchesBranch(AddedBranch):
    """alpha f(x) of the tokens (B, N, C) after the first `prefix`, which belong to no place: 0."""

    def __init__(self, attn: nn.Module, prefix: int) -> None:
        super().__init__(attn)
        self.prefix = prefix

    def forward(self, x: Tensor) -> Tensor:
        y = self.alpha.to(x.dtype) * self.attn(x[:, self.prefix :])
        return F.pad(y, (0, 0, self.prefix, 0))
