"""Token mixers: what takes the place of the softmax attention in the blocks of a transformer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from timm.layers import Attention
from torch import Tensor, nn

from zoo.errors import IncompatibleBackboneError
from zoo.insertion import attach
from zoo.insertion.forms import AddedBranch
from zoo.insertion.sites import Site

HINTS = ("num_heads", "qkv_bias")  # given to a mixer only if it accepts them


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The tokens of a transformer: `prefix` tokens (class, registers), then (H, W) patches."""

    size: tuple[int, int]
    prefix: int

    @property
    def tokens(self) -> int:
        """Of one image."""
        return self.prefix + self.size[0] * self.size[1]


class Mixer(nn.Module):
    """A token mixer where timm's blocks call their attention, which they do without a mask."""

    def __init__(self, attn: nn.Module) -> None:
        super().__init__()
        self.attn = attn

    def forward(
        self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False
    ) -> Tensor:
        if attn_mask is not None or is_causal:
            raise IncompatibleBackboneError(
                f"{type(self.attn).__name__} takes the place of an attention that is given a mask",
                remedy="another attention, or a call without attn_mask",
            )
        return self.attn(x)


def mixer_sites(model: nn.Module) -> list[Site]:
    """timm's plain multi-head attention in each block, (B, N, C) in and out."""
    grid = grid_of(model)
    if grid is None:
        return []
    return [
        Site(path=path, channels=module.qkv.in_features, stride=1, size=(1, grid.tokens))
        for path, module in model.named_modules()
        if type(module) is Attention and module.proj.out_features == module.qkv.in_features
    ]


def grid_of(model: nn.Module) -> Grid | None:
    """The tokens of a model whose patches are a grid; None for any other."""
    size = getattr(getattr(model, "patch_embed", None), "grid_size", None)
    if size is None:
        return None
    return Grid(size=tuple(size), prefix=getattr(model, "num_prefix_tokens", 0))


def geometry(attention: nn.Module) -> dict[str, Any]:
    """Settings of the attention that stands there, in timm's names, for mixers that have them."""
    assert isinstance(attention, Attention)
    return {"num_heads": attention.num_heads, "qkv_bias": attention.qkv.bias is not None}


def put(model: nn.Module, site: Site, mixer: Any, *, residual: bool) -> None:
    """Put the mixer in the attention's place, started from it if it can be, or beside it."""
    attention = model.get_submodule(site.path)
    if hasattr(mixer, "take_over"):
        mixer.take_over(attention)
    if residual:
        attach.beside(attention, AddedBranch(mixer))
    else:
        attach.set_module(model, site.path, Mixer(mixer))
