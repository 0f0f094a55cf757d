"""Perceiver (Jaegle et al., ICML 2021, arXiv 2103.03206, section 3).

A few latents read a large input by cross-attention, then attend to each other:

    z = Cross(z, [x, Fourier(positions)]),   z = Self(z), ..., Self(z),   and so on

x: (B, N, C), a set, or (B, H, W, C) and the like where positions count (`input_axis`); z: latents
(B, K, D). A cross-attention costs K N, self-attention K^2. `Block` states the layers.

Two forms. `official`, of the authors' code for Perceiver and Perceiver IO: the input is read once,
then one stack of self-attention runs `num_blocks` times; biases in q, k, v; perceptrons with the
tanh approximation of GELU. `lucidrains`, of the best-known port: the input is read at each of
`depth` layers, as in the ICML paper, whose layers after the first share their weights
(`weight_tie`); no biases in q, k, v; GEGLU perceptrons four times as wide. If `variant` is not
given, an option that only one of them has decides, else it is `official`. The bias of the keys has
no effect.

`block="cross_attention"` is the cross-attention alone, and "cross_attention_with_mlp" with its
perceptron.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from zoo.sdk.options import (
    agree,
    check_bool,
    check_choice,
    check_int,
    check_number,
    refuse,
)
from zoo_plugins.mechanisms.multimodal.perceiver_block import NAME, Block
from zoo_plugins.mechanisms.multimodal.perceiver_encoder import Fourier, Perceiver

VARIANTS = ("official", "lucidrains")
BLOCKS = ("cross_attention", "cross_attention_with_mlp", "encoder")
PORT_ONLY = (
    "depth", "max_freq", "cross_head_dim", "latent_head_dim", "self_per_cross", "weight_tie",
    "head_dim",
)  # fmt: skip
OFFICIAL_ONLY = (
    "feat_size", "self_per_block", "num_blocks", "cross_ff_mult", "qk_channels", "v_channels",
)  # fmt: skip


def perceiver(
    channels: int | None = None,
    *,
    block: str = "encoder",
    variant: str | None = None,
    dim: int | None = None,
    context_dim: int | None = None,
    num_heads: int | None = None,
    head_dim: int | None = None,
    qk_channels: int | None = None,
    v_channels: int | None = None,
    qkv_bias: bool | None = None,
    bias: bool = True,
    residual: bool | None = None,
    input_axis: int | None = None,
    feat_size: Any = None,
    num_freq_bands: int = 6,
    max_freq: float | None = None,
    num_latents: int = 32,
    depth: int | None = None,
    self_per_cross: int | None = None,
    weight_tie: bool | None = None,
    num_blocks: int | None = None,
    self_per_block: int | None = None,
    cross_heads: int = 1,
    cross_head_dim: int | None = None,
    latent_heads: int = 8,
    latent_head_dim: int | None = None,
    cross_ff_mult: int | None = None,
    ff_mult: int | None = None,
    ff_activation: str | None = None,
    num_classes: int = 0,
    device: Any = None,
    dtype: Any = None,
) -> nn.Module:
    """A Perceiver, or its cross-attention.

    Args:
        channels: C of the input.
        block: `encoder`, or the cross-attention alone, with or without its perceptron.
        variant: `official` or `lucidrains`, as above.
        dim: D of the latents, by default C.
        context_dim: C, of a cross-attention.
        num_heads (1), head_dim (64), qk_channels and v_channels (both C, official; v as q and k),
            qkv_bias, bias, residual: of a cross-attention. It adds the latents if it has a
            perceptron.
        input_axis: axes with positions; by default a set has none, with `feat_size` there are two.
        feat_size: (H, W), official: the highest frequencies of the positions; by default the
            input's own size.
        num_freq_bands: frequencies for each axis, 6. max_freq: the highest, 10, of the port.
        num_latents: K, 32 (512 in the paper).
        depth (2), self_per_cross (1), weight_tie: layers of the port, the self-attentions of each,
            and whether layers after the first share weights.
        num_blocks (1; 8 in the paper), self_per_block (1; 6): official, how often the stack of
            self-attentions runs, and how many there are.
        cross_heads (1), latent_heads (8); cross_head_dim, latent_head_dim: of the port, 64.
        ff_mult: width of the perceptrons, 1, or 4 of the port; cross_ff_mult: of the cross-
            attention, if different. ff_activation: `gelu_tanh`, or `geglu` of the port.
        num_classes: of the classifier; 0 for none.
    """
    given = {name: value for name, value in locals().items() if value is not None}
    port = _variant(variant, given) == "lucidrains"
    shared: dict[str, Any] = {
        "qkv_bias": not port if qkv_bias is None else qkv_bias, "bias": bias,
        "ff_activation": ff_activation or ("geglu" if port else "gelu_tanh"),
        "device": device, "dtype": dtype,
    }  # fmt: skip
    ff_mult = (4 if port else 1) if ff_mult is None else ff_mult
    source = agree(NAME, channels=channels, context_dim=context_dim)
    if source is None:
        refuse(NAME, "the channels of the input are missing", "channels=3")
    source = check_int(NAME, "channels", source)
    width = source if dim is None else check_int(NAME, "dim", dim)
    if check_choice(NAME, "block", block, BLOCKS) != "encoder":
        mlp = block == "cross_attention_with_mlp"
        keys = _key_width(num_heads or 1, head_dim, qk_channels, source if not port else 0)
        return Block(
            width, source, num_heads=num_heads or 1, qk_channels=keys,
            v_channels=v_channels or keys, residual=mlp if residual is None else residual,
            ff_mult=ff_mult if mlp else 0, **shared,
        )  # fmt: skip
    axes = _axes(input_axis, feat_size)
    bands = check_int(NAME, "num_freq_bands", num_freq_bands, 0)
    source += axes * (2 * bands + 1)
    mult = ff_mult if cross_ff_mult is None else cross_ff_mult
    cross = cross_heads * (cross_head_dim or 64) if port else source
    latent = latent_heads * (latent_head_dim or 64) if port else width
    reading = {"num_heads": cross_heads, "qk_channels": cross, "v_channels": cross}
    running = {"num_heads": latent_heads, "qk_channels": latent, "v_channels": latent}
    layout = (
        _port_layout(depth, self_per_cross, weight_tie)
        if port else _official_layout(num_blocks, self_per_block)
    )  # fmt: skip
    frequency = check_number(NAME, "max_freq", 10.0 if max_freq is None else max_freq)
    return Perceiver(
        [Block(width, source, ff_mult=mult, **reading, **shared) for _ in range(layout.stacks)],
        [
            [Block(width, ff_mult=ff_mult, **running, **shared) for _ in range(layout.depth)]
            for _ in range(layout.stacks)
        ],
        layout.schedule, axes=axes,
        features=Fourier(bands, frequency if port else None, feat_size) if axes else None,
        num_latents=check_int(NAME, "num_latents", num_latents), dim=width,
        num_classes=num_classes, norm=port, std=1.0 if port else 0.02, device=device, dtype=dtype,
    )  # fmt: skip


def _variant(variant: str | None, given: dict[str, Any]) -> str:
    if variant is not None:
        return check_choice(NAME, "variant", variant, VARIANTS)
    port = [name for name in PORT_ONLY if name in given]
    official = [name for name in OFFICIAL_ONLY if name in given]
    if port and official:
        refuse(NAME, f"{port[0]} is of lucidrains' Perceiver, {official[0]} of the official one")
    return "lucidrains" if port else "official"


def _key_width(heads: int, head_dim: int | None, qk_channels: int | None, default: int) -> int:
    """Width of q and k, of all heads: 64 in each, or `default`."""
    inner = None if head_dim is None else (head_dim, heads * head_dim)
    width = agree(NAME, qk_channels=qk_channels, head_dim=inner)
    return width or default or heads * 64


def _axes(input_axis: int | None, feat_size: Any) -> int:
    implied = None if feat_size is None else (feat_size, len(feat_size))
    return check_int(
        NAME, "input_axis", agree(NAME, input_axis=input_axis, feat_size=implied) or 0, 0
    )


@dataclass(frozen=True, slots=True)
class _Layout:
    """`stacks` of a reading block and `depth` blocks among latents, and the order they run in."""

    stacks: int
    depth: int
    schedule: tuple[tuple[int | None, int], ...]


def _official_layout(num_blocks: int | None, self_per_block: int | None) -> _Layout:
    blocks = check_int(NAME, "num_blocks", 1 if num_blocks is None else num_blocks)
    depth = check_int(NAME, "self_per_block", 1 if self_per_block is None else self_per_block)
    return _Layout(1, depth, ((0, 0), *((None, 0) for _ in range(blocks - 1))))


def _port_layout(depth: int | None, self_per_cross: int | None, weight_tie: bool | None) -> _Layout:
    layers = check_int(NAME, "depth", 2 if depth is None else depth)
    each = check_int(NAME, "self_per_cross", 1 if self_per_cross is None else self_per_cross, 0)
    tied = check_bool(NAME, "weight_tie", weight_tie or False)
    own = min(layers, 2) if tied else layers
    return _Layout(own, each, tuple((min(i, own - 1), min(i, own - 1)) for i in range(layers)))


def reference_call(module: nn.Module, *inputs: Tensor) -> Any:
    """What a reference case records: latents and logits, or the output of one block."""
    if isinstance(module, Block):
        query, memory, *mask = inputs
        return module(query, memory, *(m.bool() for m in mask))
    assert isinstance(module, Perceiver)
    x, *mask = inputs
    latents = module(x, *(m.bool() for m in mask))
    return {"embeddings": latents, "logits": module.logits(latents)}
