"""Perceiver (Jaegle et al., ICML 2021, arXiv 2103.03206, section 3).

A few latents read a large input by cross-attention, then attend to each other:

    z = Cross(z, [x, Fourier(positions)]),   z = Self(z), ..., Self(z),   and so on

x: (B, N, C), a set, or (B, H, W, C) and the like where positions count (`input_axis`); z: latents
(B, K, D). A cross-attention costs K N, self-attention K^2. `Block` states the layers.

Two forms. `official`, of the authors' code for Perceiver and Perceiver IO: the input is read once,
then one stack of self-attentions runs `num_blocks` times; biases in q, k, v; perceptrons with the
tanh approximation of GELU. `lucidrains`, of the best-known port: the input is read before each of
`num_blocks` stacks, as in the ICML paper; no biases in q, k, v; GEGLU perceptrons four times as
wide. The bias of the keys has no effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from zoo.sdk import Count, PositiveFloat, PositiveInt, refuse
from zoo_plugins.mechanisms.multimodal.perceiver_block import NAME, Activation, Block
from zoo_plugins.mechanisms.multimodal.perceiver_encoder import Fourier, Perceiver


class Form(NamedTuple):
    """What the two forms have different by default.

    head_dim: channels of each head; None divides the width of what is read among the heads.
    reads: the input is read before every stack. std: of the latents at the start.
    """

    num_blocks: int
    reads: bool
    weight_tie: bool
    head_dim: int | None
    qkv_bias: bool
    ff_mult: int
    ff_activation: str
    std: float


FORMS = {
    "official": Form(1, False, True, None, True, 1, "gelu_tanh", 0.02),
    "lucidrains": Form(2, True, False, 64, False, 4, "geglu", 1.0),
}


def perceiver(
    channels: PositiveInt,
    *,
    variant: Literal["official", "lucidrains"] = "official",
    block: Literal["encoder", "cross_attention", "cross_attention_with_mlp"] = "encoder",
    dim: PositiveInt | None = None,
    input_axis: Count | None = None,
    feat_size: Sequence[PositiveInt] | None = None,
    num_freq_bands: Count = 6,
    max_freq: PositiveFloat | None = None,
    num_latents: PositiveInt = 32,
    num_blocks: PositiveInt | None = None,
    self_per_block: Count = 1,
    weight_tie: bool | None = None,
    cross_heads: PositiveInt = 1,
    qk_channels: PositiveInt | None = None,
    v_channels: PositiveInt | None = None,
    cross_ff_mult: PositiveInt | None = None,
    residual: bool | None = None,
    latent_heads: PositiveInt = 8,
    latent_channels: PositiveInt | None = None,
    qkv_bias: bool | None = None,
    bias: bool = True,
    ff_mult: PositiveInt | None = None,
    ff_activation: Activation | None = None,
    num_classes: Count = 0,
    device: Any = None,
    dtype: Any = None,
) -> nn.Module:
    """A Perceiver, or its cross-attention alone.

    Where two defaults are stated, the first is that of `official` and the second of `lucidrains`.

    Args:
        channels: C of the input.
        variant: which of the two forms above.
        block: `encoder` is the whole; the others are the cross-attention that reads the input,
            without and with its perceptron.
        dim: D of the latents, by default C.
        input_axis: axes that have positions; by default those of `feat_size`, else none.
        feat_size: (H, W) whose highest frequencies the positions get in the official form, by
            default the input's own size.
        num_freq_bands: frequencies for each axis.
        max_freq: twice the highest frequency, the same on all axes; by default `feat_size`, or 10.
        num_latents: K; 512 in the paper.
        num_blocks: how often the stack of self-attentions runs, 1 or 2; 8 in the paper.
        self_per_block: self-attentions in the stack; 6 in the paper.
        weight_tie: stacks share their weights, True or False. In the port the first keeps its own.
        cross_heads: heads of the attention that reads the input.
        qk_channels, v_channels: widths of q and k, and of v, of all those heads; by default as
            wide as what is read, or 64 a head. v is by default as wide as q.
        cross_ff_mult: width of its perceptron over D, by default `ff_mult`.
        residual: it adds the latents, as it does by default unless it has no perceptron.
        latent_heads: heads among the latents.
        latent_channels: the width of q, k and v of all those heads, by default D, or 64 a head.
        qkv_bias: of q, k and v, True or False. bias: of the projection behind them.
        ff_mult: width of the perceptrons over D, 1 or 4. ff_activation: `gelu_tanh` or `geglu`.
        num_classes: of the classifier; 0 for none.
    """
    form, dd = FORMS[variant], {"device": device, "dtype": dtype}
    width = channels if dim is None else dim
    ff_mult = form.ff_mult if ff_mult is None else ff_mult
    shared: dict[str, Any] = {
        "qkv_bias": form.qkv_bias if qkv_bias is None else qkv_bias, "bias": bias,
        "ff_activation": ff_activation or form.ff_activation, **dd,
    }  # fmt: skip
    axes = _axes(input_axis, feat_size) if block == "encoder" else 0
    source = channels + axes * (2 * num_freq_bands + 1)
    keys = qk_channels or _heads_width(form, cross_heads, source)
    inner = latent_channels or _heads_width(form, latent_heads, width)
    mult = ff_mult if cross_ff_mult is None else cross_ff_mult

    def reader() -> Block:
        return Block(
            width, source, num_heads=cross_heads, qk_channels=keys, v_channels=v_channels or keys,
            residual=block != "cross_attention" if residual is None else residual,
            ff_mult=0 if block == "cross_attention" else mult, **shared,
        )  # fmt: skip

    def attention() -> Block:
        return Block(
            width, num_heads=latent_heads, qk_channels=inner, v_channels=inner, ff_mult=ff_mult,
            **shared,
        )  # fmt: skip

    if block != "encoder":
        return reader()
    tied = form.weight_tie if weight_tie is None else weight_tie
    schedule = _schedule(form, num_blocks or form.num_blocks, tied)
    stacks = 1 + max(stack for _, stack in schedule)
    return Perceiver(
        [reader() for _ in range(stacks if form.reads else 1)],
        [[attention() for _ in range(self_per_block)] for _ in range(stacks)],
        schedule,
        axes=axes,
        features=_features(form, axes, num_freq_bands, max_freq, feat_size),
        num_latents=num_latents, dim=width, num_classes=num_classes,
        norm=form.reads, std=form.std, **dd,
    )  # fmt: skip


def _axes(input_axis: int | None, feat_size: Sequence[int] | None) -> int:
    if feat_size is None:
        return input_axis or 0
    if input_axis not in (None, len(feat_size)):
        what = f"input_axis={input_axis} and feat_size={tuple(feat_size)} contradict each other"
        refuse(NAME, what, f"input_axis={len(feat_size)}")
    return len(feat_size)


def _heads_width(form: Form, heads: int, width: int) -> int:
    """The width of all heads together."""
    return width if form.head_dim is None else heads * form.head_dim


def _schedule(form: Form, runs: int, tied: bool) -> tuple[tuple[int | None, int], ...]:
    """For each run the reader, or None, and the stack."""
    own = min(runs, 2 if form.reads else 1) if tied else runs
    stacks = [min(run, own - 1) for run in range(runs)]
    return tuple((k if form.reads or not run else None, k) for run, k in enumerate(stacks))


def _features(
    form: Form,
    axes: int,
    bands: int,
    max_freq: float | None,
    feat_size: Sequence[int] | None,
) -> Fourier | None:
    if not axes:
        return None
    if form.reads:
        return Fourier(bands, 10.0 if max_freq is None else max_freq, None)
    return Fourier(bands, None, feat_size if max_freq is None else [max_freq] * axes)


def reference_call(module: nn.Module, *inputs: Tensor) -> Any:
    """What a reference case records: latents and logits, or the output of one block."""
    if isinstance(module, Block):
        query, memory, *mask = inputs
        return module(query, memory, *(m.bool() for m in mask))
    assert isinstance(module, Perceiver)
    x, *mask = inputs
    latents = module(x, *(m.bool() for m in mask))
    return {"embeddings": latents, "logits": module.logits(latents)}
