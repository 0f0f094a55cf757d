"""What mixers of the tokens of one map share: keys and values of a map that may be reduced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, cat, nn, no_grad

from zoo.sdk import Size, refuse
from zoo.sdk.attend import check_tokens
from zoo.sdk.map_size import as_pair
from zoo_plugins.mechanisms.self_attention.heads import split_heads


class ReducedMap(nn.Module):
    """Tokens (B, N, C) of a map, N = H W, and x' that keys and values are of.

    x' = x with R = 1, else LayerNorm(Conv_R(x)), with kernel and stride R, as in PVT; rows and
    columns that do not fill a kernel are left out. Parameter names are PVT's.

    Args:
        dim: C.
        feat_size: (H, W). num_heads: 8, or fewer if that does not divide C.
        head_dim: channels of a head, C / num_heads.
        reduction: R. bias: of the last projection.
    """

    mechanism = ""  # its name, for messages

    def __init__(
        self,
        dim: int,
        *,
        feat_size: Size,
        num_heads: int | None,
        head_dim: int | None,
        reduction: int,
        bias: bool,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        self.dim, self.size = dim, as_pair(feat_size)
        self.num_heads, self.head_dim = split_heads(
            self.mechanism, dim, num_heads=num_heads, head_dim=head_dim, default=8
        )
        if min(self.size) < reduction:
            what = f"a map of {self.size[0]} x {self.size[1]} is less than reduction={reduction}"
            refuse(self.mechanism, what)
        self.reduced_size = (self.size[0] // reduction, self.size[1] // reduction)
        dd: Any = {"device": device, "dtype": dtype}
        self.sr = self.norm = None
        if reduction > 1:
            self.sr = nn.Conv2d(dim, dim, reduction, reduction, **dd)
            self.norm = nn.LayerNorm(dim, **dd)
        self.proj = nn.Linear(dim, dim, bias=bias, **dd)

    def check(self, x: Tensor, prefix: int = 0) -> None:
        """Refuse an x that is not the tokens of this map, after `prefix` others."""
        check_tokens(self.mechanism, "x", x, self.dim)
        if x.shape[1] != prefix + self.size[0] * self.size[1]:
            after = f", after {prefix}" if prefix else ""
            what = f"{x.shape[1]} tokens are no map of {self.size[0]} x {self.size[1]}{after}"
            refuse(self.mechanism, what, "feat_size=(H, W)")

    def reduced(self, x: Tensor) -> Tensor:
        """x', (B, N', C)."""
        if self.sr is None or self.norm is None:
            return x
        return self.norm(self.sr(x.mT.unflatten(2, self.size)).flatten(2).mT)

    def heads(self, x: Tensor) -> Tensor:
        """(B, N, C) -> (B, heads, N, d)."""
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

    @no_grad()
    def start_as_average(self) -> None:
        """Conv_R takes the mean of each R x R window."""
        if self.sr is not None and self.sr.bias is not None:
            nn.init.dirac_(self.sr.weight)
            self.sr.weight.copy_(self.sr.weight.sum((2, 3), keepdim=True))
            self.sr.weight.div_(self.sr.weight[0, 0].numel())
            self.sr.bias.zero_()


def split_joint(
    state: Mapping[str, Tensor], joint: str, layers: Mapping[str, str]
) -> dict[str, Tensor]:
    """The authors' one layer as several: `layers` says which of its letters each of ours holds.

    `split_joint(state, "qkv", {"q": "q", "kv": "kv"})`. Other keys stay as they are.
    """
    mapped: dict[str, Tensor] = {}
    for key, tensor in state.items():
        path, dot, leaf = key.rpartition(".")
        parent, _, name = path.rpartition(".")
        if name != joint:
            mapped[key] = tensor
            continue
        rows = dict(zip(joint, tensor.chunk(len(joint)), strict=True))
        before = f"{parent}." if parent else ""
        for own, letters in layers.items():
            mapped[f"{before}{own}{dot}{leaf}"] = cat([rows[letter] for letter in letters])
    return mapped
