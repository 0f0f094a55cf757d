"""What `show_attend_tell_soft` and `show_attend_tell_hard` build: an attention, or its decoder."""

from __future__ import annotations

from typing import Any, TypeVar

from zoo.sdk.options import check_choice, check_int, refuse
from zoo_plugins.mechanisms.logical.caption_decoder import FORMS, CaptionDecoder
from zoo_plugins.mechanisms.logical.show_attend_tell import NAME, HardAttention, SoftAttention

Attention = TypeVar("Attention", bound=SoftAttention)


def show_attend_tell_soft(
    dim: int,
    *,
    query_dim: int | None = None,
    attention_dim: int | None = None,
    n_layers_att: int = 1,
    activation: str | None = None,
    gate: str | None = "scalar",
    bias: bool | None = None,
    temperature: float = 1.0,
    vocab_size: int | None = None,
    embed_dim: int | None = None,
    prev2out: bool | None = None,
    ctx2out: bool | None = None,
    height: int | None = None,
    width: int | None = None,
    variant: str | None = None,
    device: Any = None,
    dtype: Any = None,
) -> SoftAttention | CaptionDecoder:
    """The attention, or with `vocab_size` the decoder around it.

    Args:
        dim, query_dim, attention_dim, n_layers_att, activation, gate, temperature: of
            `SoftAttention`; the activation is tanh, in the form `tutorial` ReLU.
        bias: in the layers from the annotations, True; only the tutorial has this setting.
        vocab_size, embed_dim: of the decoder; a word has by default as many numbers as the state.
        prev2out, ctx2out: of the decoder `original`, True as in the paper (the code: False).
        height, width: of the map that is attended to, as the tutorial states them; a map of any
            other size is taken as well.
        variant: `original`, or `tutorial`; by default the latter if `bias`, `height` or `width` is
            given, which only the tutorial states.
    """
    for name, side in (("height", height), ("width", width)):
        if side is not None:
            check_int(NAME, name, side)
    form = _form(variant, bias, height, width)
    dd: Any = {"device": device, "dtype": dtype}
    attention = SoftAttention(
        dim,
        query_dim=query_dim,
        attention_dim=attention_dim,
        n_layers_att=n_layers_att,
        activation=_activation(activation, form),
        gate=gate,
        bias=True if bias is None else bias,
        temperature=temperature,
        **dd,
    )
    return _with_decoder(attention, form, vocab_size, embed_dim, prev2out, ctx2out, dd)


def show_attend_tell_hard(
    dim: int,
    *,
    query_dim: int | None = None,
    attention_dim: int | None = None,
    n_layers_att: int = 1,
    activation: str | None = None,
    gate: str | None = "scalar",
    bias: bool | None = None,
    temperature: float = 1.0,
    semi_sampling_p: float = 0.5,
    vocab_size: int | None = None,
    embed_dim: int | None = None,
    prev2out: bool | None = None,
    ctx2out: bool | None = None,
    variant: str | None = None,
    device: Any = None,
    dtype: Any = None,
) -> HardAttention | CaptionDecoder:
    """The hard attention, or with `vocab_size` the decoder around it.

    Args:
        semi_sampling_p: of `HardAttention`.
        others: as in `show_attend_tell_soft`.
    """
    form = _form(variant, bias)
    dd: Any = {"device": device, "dtype": dtype}
    attention = HardAttention(
        dim,
        query_dim=query_dim,
        attention_dim=attention_dim,
        n_layers_att=n_layers_att,
        activation=_activation(activation, form),
        gate=gate,
        bias=True if bias is None else bias,
        temperature=temperature,
        semi_sampling_p=semi_sampling_p,
        **dd,
    )
    return _with_decoder(attention, form, vocab_size, embed_dim, prev2out, ctx2out, dd)


def _form(variant: str | None, *of_the_tutorial: Any) -> str:
    stated = any(option is not None for option in of_the_tutorial)
    return check_choice(NAME, "variant", variant or FORMS[stated], FORMS)


def _activation(activation: str | None, form: str) -> str:
    return activation or ("relu" if form == "tutorial" else "tanh")


def _with_decoder(
    attention: Attention,
    form: str,
    vocab_size: int | None,
    embed_dim: int | None,
    prev2out: bool | None,
    ctx2out: bool | None,
    dd: Any,
) -> Attention | CaptionDecoder:
    if vocab_size is None:
        return attention
    for name, term in (("prev2out", prev2out), ("ctx2out", ctx2out)):
        if term and form == "tutorial":
            refuse(NAME, f"{name}=True: the decoder of the tutorial has no such term")
    return CaptionDecoder(
        attention,
        vocab_size=vocab_size,
        embed_dim=attention.query_dim if embed_dim is None else embed_dim,
        form=form,
        prev2out=True if prev2out is None else prev2out,
        ctx2out=True if ctx2out is None else ctx2out,
        **dd,
    )
