"""Token mixers: what takes the place of the softmax attention in the blocks of a transformer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from dataclasses import replace as changed
from functools import partial
from typing import Any

import torch
from timm.layers import Attention, register_notrace_module
from torch import Tensor, nn

from zoo.errors import IncompatibleBackboneError
from zoo.insertion import attach
from zoo.insertion.forms import AddedBranch, PatchesBranch
from zoo.insertion.sites import Site
from zoo.registry.specs import MAPS, AttentionSpec, Form, OptionNames

# given to a mixer only if it accepts them
HINTS = ("num_heads", "head_dim", "qkv_bias", "bias", "qk_norm", "norm_eps", "class_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The tokens of a transformer: `prefix` tokens (class, registers), then (H, W) patches."""

    size: tuple[int, int]
    prefix: int

    @property
    def tokens(self) -> int:
        """Of one image."""
        return self.prefix + self.size[0] * self.size[1]


@register_notrace_module  # a traced model hands on its mask, whether there will be one or not
class Mixer(nn.Module):
    """A token mixer where timm's blocks call their attention, which they do without a mask."""

    def __init__(self, attn: nn.Module) -> None:
        super().__init__()
        self.attn = attn

    def forward(
        self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False
    ) -> Tensor:
        if not torch.jit.is_scripting() and (attn_mask is not None or is_causal):
            raise IncompatibleBackboneError(
                f"{type(self.attn).__name__} takes the place of an attention that is given a mask",
                remedy="another attention, or a call without attn_mask",
            )
        return self.attn(x)


class Folded(nn.Module):
    """What takes a map (B, C, H, W), on the tokens (B, N, C) of one, N = H W."""

    def __init__(self, attn: nn.Module, size: tuple[int, int]) -> None:
        super().__init__()
        self.attn, self.size = attn, size

    def forward(self, x: Tensor) -> Tensor:
        return self.attn(x.mT.unflatten(2, self.size)).flatten(2).mT

    @property
    def starts_at_zero(self) -> bool:
        """As the attention on maps says."""
        return getattr(self.attn, "starts_at_zero", False)

    def init_branch(self) -> None:
        """As that of the attention on maps, if it has one."""
        if hasattr(self.attn, "init_branch"):
            self.attn.init_branch()  # pyright: ignore[reportCallIssue]

    def take_over(self, attention: nn.Module) -> bool | None:
        """As that of the attention on maps, if it has one."""
        start: Any = getattr(self.attn, "take_over", None)
        return start(attention) if start is not None else None


def heard(known: Mapping[str, Any], accepted: Collection[str]) -> dict[str, Any]:
    """What is known of a place, without the hints that the constructor does not take.

    Args:
        accepted: the names of its options; empty where it takes any.
    """
    return {k: v for k, v in known.items() if not accepted or k in accepted or k not in HINTS}


def folds(spec: AttentionSpec) -> bool:
    """Whether it is an attention on maps that serves as a token mixer."""
    return spec.insertion.role == "replace_mixer" and spec.contract in MAPS


def needs_grid(spec: AttentionSpec) -> bool:
    """Whether it is a token mixer of one grid of patches."""
    return spec.insertion.needs_size or folds(spec)


def on_tokens(spec: AttentionSpec, target: Any, model: nn.Module) -> AttentionSpec:
    """The form on tokens of a map attention that has one, in a transformer; else the spec itself.

    It is the class's `token_mixer(dim, **options)`, which builds a mixer (B, N, C) -> the same; or,
    where the spec says `folds_tokens`, the attention itself on folded patches.
    """
    folding = spec.insertion.folds_tokens
    own = spec.insertion.role == "refine" and hasattr(target, "token_mixer")
    if not (folding or own) or not mixer_sites(model):
        return spec
    insertion = changed(
        spec.insertion, role="replace_mixer", identity="residual", default_form=None,
        needs_size=folding and spec.insertion.needs_size, default_sites="all",
    )  # fmt: skip
    if folding:
        return changed(spec, insertion=insertion)
    return changed(
        spec, target=f"{spec.target}.token_mixer", contract="tokens", insertion=insertion,
        options=OptionNames(channels=("dim",)),
    )  # fmt: skip


def mixer_sites(model: nn.Module) -> list[Site]:
    """timm's plain multi-head attention in each block, (B, N, C) in and out."""
    grid = grid_of(model)
    if grid is None:
        return []
    return [
        Site(path=path, channels=module.qkv.in_features, size=(1, grid.tokens))
        for path, module in model.named_modules()
        if type(module) is Attention and module.proj.out_features == module.qkv.in_features
    ]


def grid_of(model: nn.Module) -> Grid | None:
    """The tokens of a model whose patches are a grid; None for any other."""
    size = getattr(getattr(model, "patch_embed", None), "grid_size", None)
    if size is None:
        return None
    return Grid(size=tuple(size), prefix=getattr(model, "num_prefix_tokens", 0))


def keep_grid(model: nn.Module, name: str, grid: Grid) -> None:
    """Bind the model to the grid that a mixer is built for: as many tokens may be another grid.

    Raises:
        IncompatibleBackboneError: the model takes images of any size.
    """
    if getattr(model, "dynamic_img_size", False):
        raise IncompatibleBackboneError(
            f"{name} is built for one grid of tokens, and dynamic_img_size=True allows any",
            remedy="leave dynamic_img_size out",
        )
    vars(model)["set_input_size"] = partial(_refuse_size, name, grid.size)


def _refuse_size(name: str, size: tuple[int, int], *_: Any, **__: Any) -> None:
    raise IncompatibleBackboneError(
        f"{name} is built for a grid of {size[0]} x {size[1]} tokens",
        where="set_input_size",
        remedy="create_model(..., img_size=) builds it for another",
    )


def geometry(attention: nn.Module) -> dict[str, Any]:
    """Settings of the attention that stands there, in timm's names, for mixers that have them."""
    assert isinstance(attention, Attention)
    normed = isinstance(attention.q_norm, nn.LayerNorm)
    return {
        "num_heads": attention.num_heads, "head_dim": attention.head_dim,
        "qkv_bias": attention.qkv.bias is not None, "bias": attention.proj.bias is not None,
        **({"qk_norm": True, "norm_eps": attention.q_norm.eps} if normed else {}),
    }  # fmt: skip


def put(model: nn.Module, site: Site, mixer: Any, form: Form, prefix: int = 0) -> None:
    """Put the mixer in the attention's place, started from it if it can be, or beside it.

    Args:
        prefix: how many tokens come first that the mixer does not take; it stands beside then.

    Raises:
        IncompatibleBackboneError: `exact`, and `take_over` says that this is not the same function.
    """
    attention = model.get_submodule(site.path)
    same = mixer.take_over(attention) if hasattr(mixer, "take_over") else None
    if form == "exact" and same is False:
        raise IncompatibleBackboneError(
            f"with these options {type(mixer).__name__} does not compute what {site.path} does",
            where="insertion='exact'",
            remedy="insertion='residual'",
        )
    if form == "residual":
        attach.beside(attention, PatchesBranch(mixer, prefix) if prefix else AddedBranch(mixer))
    else:
        attach.set_module(model, site.path, Mixer(mixer))
