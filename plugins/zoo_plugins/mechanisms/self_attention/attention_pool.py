"""Attention pooling: a map or tokens to one vector, by the attention of one query, or of a few.

    y = W_o concat_i(softmax(d^-1/2 q_i K_i^T) V_i) + b_o,   K = W_k z + b_k,   V = W_v z + b_v

`2d` (Radford et al., CLIP, ICML 2021, arXiv 2103.00020, section 2.4): x: (B, C, H, W); z: (B, 1 +
H W, C), the mean of the map (or a learned token), then its positions, plus a learned table of
1 + H W rows, which is resampled for other sizes; q = W_q z_0 + b_q.

`latent` (Lee et al., Set Transformer, ICML 2019, arXiv 1810.00825, 3.2; Zhai et al., CVPR 2022,
arXiv 2106.04560): x: (B, N, C); z = x, plus a table where asked; q = W_q l + b_q of L learned
latents l: (L, C_l); then y + MLP(norm(y)), and the first of the L, or their mean.

Both return (B, C_out). d: channels of a head; W_k, W_v: C -> C_e, W_o: C_e -> C_out. b_k has no
effect. Parameter names are timm's, whose learned token works where C_e = C only; here in any.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from timm.layers import Mlp, resample_abs_pos_embed
from torch import Tensor, nn

from zoo.sdk import Count, PositiveFloat, PositiveInt, Size, refuse
from zoo.sdk.attend import attend, check_tokens
from zoo.sdk.inputs import check_shape
from zoo.sdk.map_size import as_pair
from zoo_plugins.mechanisms.self_attention.heads import split_heads

NAME = "attention_pool"


def attention_pool(
    in_features: int,
    *,
    form: Literal["2d", "latent"] = "2d",
    out_features: Count | None = None,
    embed_dim: PositiveInt | None = None,
    num_heads: PositiveInt | None = None,
    head_dim: PositiveInt | None = None,
    feat_size: Size | None = None,
    qkv_bias: bool = True,
    qkv_separate: bool | None = None,
    class_token: bool | None = None,
    latent_len: PositiveInt | None = None,
    latent_dim: PositiveInt | None = None,
    pos_embed: Literal["", "abs"] | None = None,
    pool_type: Literal["token", "avg"] | None = None,
    norm: bool | None = None,
    mlp_ratio: PositiveFloat | None = None,
    device: Any = None,
    dtype: Any = None,
) -> AttentionPool2d | AttentionPoolLatent:
    """The pooling of a form; an option of the other form is refused.

    Args:
        in_features: C.
        form: `2d` or `latent`, as above.
        out_features: C_out, C; with 0 there is no W_o, nor a perceptron, and C_e channels come out.
        embed_dim: C_e, C.
        num_heads: 8, or fewer if that does not divide C_e. head_dim: d, C_e / num_heads.
        feat_size: 2d: (H, W) of the table, 7; latent: N of the table.
        qkv_bias: of the projections to q, K and V.
        qkv_separate: 2d: three layers for these, as CLIP's, and not one.
        class_token: 2d: a learned token in the place of the mean.
        latent_len: latent: L, 1. latent_dim: C_l, C_e.
        pos_embed: latent: `abs` adds a table.
        pool_type: latent: `token`, the first, or `avg`, the mean.
        norm: latent: LayerNorm before the perceptron. mlp_ratio: its width by C_out, 4.
    """
    shared: dict[str, Any] = {"qkv_bias": qkv_bias, "device": device, "dtype": dtype}
    embed = in_features if embed_dim is None else embed_dim
    heads, _ = split_heads(NAME, embed, num_heads=num_heads, head_dim=head_dim, default=8)
    shared |= {"embed_dim": embed, "num_heads": heads}
    shared["out_features"] = in_features if out_features is None else out_features
    of_map = {"qkv_separate": qkv_separate, "class_token": class_token}
    of_latents = {
        "latent_len": latent_len, "latent_dim": latent_dim, "pos_embed": pos_embed,
        "pool_type": pool_type, "norm": norm, "mlp_ratio": mlp_ratio,
    }  # fmt: skip
    own, other = (of_map, of_latents) if form == "2d" else (of_latents, of_map)
    for name, value in other.items():
        if value is not None:
            refuse(NAME, f"form={form!r} has no option {name}", f"leave {name}= out")
    own = {"feat_size": feat_size, **own}
    pool = AttentionPool2d if form == "2d" else AttentionPoolLatent
    return pool(in_features, **shared, **{k: v for k, v in own.items() if v is not None})


class AttentionPool2d(nn.Module):
    """(B, C, H, W) -> (B, C_out); the options are those of `attention_pool`."""

    def __init__(
        self,
        in_features: int,
        *,
        out_features: int,
        embed_dim: int,
        num_heads: int,
        feat_size: Size = 7,
        qkv_bias: bool = True,
        qkv_separate: bool = False,
        class_token: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_features, self.num_heads = in_features, num_heads
        self.feat_size, self.embed_dim = as_pair(feat_size), embed_dim
        dd: Any = {"device": device, "dtype": dtype}
        layers = {"q": 1, "k": 1, "v": 1} if qkv_separate else {"qkv": 3}
        for name, parts in layers.items():
            layer = nn.Linear(in_features, parts * embed_dim, bias=qkv_bias, **dd)
            self.add_module(name, layer)
            nn.init.trunc_normal_(layer.weight, std=in_features**-0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        self.proj = _last(embed_dim, out_features, **dd)
        rows = 1 + self.feat_size[0] * self.feat_size[1]
        self.pos_embed = nn.Parameter(torch.empty(rows, in_features, **dd))
        nn.init.trunc_normal_(self.pos_embed, std=in_features**-0.5)
        token = nn.Parameter(torch.zeros(1, in_features, **dd)) if class_token else None
        self.cls_token = token

    def forward(self, x: Tensor) -> Tensor:
        check_shape(NAME, "x", x, ("B", self.in_features, "H", "W"))
        q, k, v = self._project(self._tokens(x))
        q, k, v = (_heads(t, self.num_heads) for t in (q, k, v))
        return self.proj(attend(q, k, v).transpose(1, 2).flatten(2).squeeze(1))

    def _tokens(self, x: Tensor) -> Tensor:
        """z, (B, 1 + H W, C)."""
        size, tokens = [int(n) for n in x.shape[2:]], x.flatten(2).mT
        first = tokens.mean(1, keepdim=True)
        if self.cls_token is not None:
            first = self.cls_token.expand(x.shape[0], 1, -1)
        table = resample_abs_pos_embed(
            self.pos_embed[None], size, old_size=list(self.feat_size), num_prefix_tokens=1
        )
        return torch.cat([first, tokens], 1) + table

    def _project(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q of the first token, K and V of all."""
        layers = dict(self.named_children())
        if "qkv" not in layers:
            return layers["q"](z[:, :1]), layers["k"](z), layers["v"](z)
        q, k, v = layers["qkv"](z).chunk(3, 2)
        return q[:, :1], k, v


class AttentionPoolLatent(nn.Module):
    """(B, N, C) -> (B, C_out); the options are those of `attention_pool`."""

    def __init__(
        self,
        in_features: int,
        *,
        out_features: int,
        embed_dim: int,
        num_heads: int,
        feat_size: Size | None = None,
        qkv_bias: bool = True,
        latent_len: int = 1,
        latent_dim: int | None = None,
        pos_embed: str = "",
        pool_type: str = "token",
        norm: bool = False,
        mlp_ratio: float = 4.0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_features, self.num_heads, self.pool_type = in_features, num_heads, pool_type
        width = embed_dim if latent_dim is None else latent_dim
        dd: Any = {"device": device, "dtype": dtype}
        self.pos_embed = None
        if pos_embed:
            self.pos_embed = nn.Parameter(torch.empty(_tokens_of(feat_size), in_features, **dd))
            nn.init.trunc_normal_(self.pos_embed, std=in_features**-0.5)
        self.latent = nn.Parameter(torch.empty(1, latent_len, width, **dd))
        nn.init.trunc_normal_(self.latent, std=width**-0.5)
        self.q = nn.Linear(width, embed_dim, bias=qkv_bias, **dd)
        self.kv = nn.Linear(in_features, 2 * embed_dim, bias=qkv_bias, **dd)
        self.proj = _last(embed_dim, out_features, **dd)
        self.norm = self.mlp = None
        if out_features:
            self.norm = nn.LayerNorm(out_features, **dd) if norm else nn.Identity()
            self.mlp = Mlp(out_features, int(out_features * mlp_ratio), **dd)

    def forward(self, x: Tensor) -> Tensor:
        check_tokens(NAME, "x", x, self.in_features)
        if self.pos_embed is not None:
            check_shape(NAME, "x", x, ("B", len(self.pos_embed), self.in_features))
            x = x + self.pos_embed
        q = self.q(self.latent.expand(x.shape[0], -1, -1))
        q, k, v = (_heads(t, self.num_heads) for t in (q, *self.kv(x).chunk(2, 2)))
        y = self.proj(attend(q, k, v).transpose(1, 2).flatten(2))
        if self.mlp is not None and self.norm is not None:
            y = y + self.mlp(self.norm(y))
        return y[:, 0] if self.pool_type == "token" else y.mean(1)


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def _last(width: int, out_features: int, **dd: Any) -> nn.Module:
    return nn.Linear(width, out_features, **dd) if out_features else nn.Identity()


def _tokens_of(feat_size: Size | None) -> int:
    """N of a table: a number of tokens, or (H, W) of them."""
    if feat_size is None:
        refuse(NAME, "pos_embed='abs' needs the number of tokens", "feat_size=196")
    return feat_size if isinstance(feat_size, int) else feat_size[0] * feat_size[1]


def read_options(options: dict[str, Any]) -> dict[str, Any]:
    """Settings of timm's layers that say nothing in their form are left out."""
    read = dict(options)
    latent = read.get("form", "2d") == "latent"
    if latent and not read.get("pos_embed"):
        read.pop("feat_size", None)
    if not latent and read.get("pool_type") == "token":
        del read["pool_type"]
    return read
