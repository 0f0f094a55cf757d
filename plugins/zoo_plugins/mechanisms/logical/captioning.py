"""What `show_attend_tell_soft` and `show_attend_tell_hard` build: an attention, or its decoder.

The two are one function: the attention is hard where contexts are drawn in training, with a
probability (`semi_sampling_p`), and soft where that is None.
"""

from __future__ import annotations

from typing import Any, Literal

from zoo.sdk import PositiveFloat, PositiveInt, Share
from zoo_plugins.mechanisms.logical.caption_decoder import CaptionDecoder
from zoo_plugins.mechanisms.logical.show_attend_tell import HardAttention, SoftAttention


def show_attend_tell(
    dim: PositiveInt,
    *,
    variant: Literal["original", "tutorial"] = "original",
    query_dim: PositiveInt | None = None,
    attention_dim: PositiveInt | None = None,
    num_layers: PositiveInt = 1,
    activation: Literal["tanh", "relu"] | None = None,
    gate: Literal["scalar", "vector"] | None = "scalar",
    bias: bool = True,
    temperature: PositiveFloat = 1.0,
    semi_sampling_p: Share | None = None,
    vocab_size: PositiveInt | None = None,
    embed_dim: PositiveInt | None = None,
    prev2out: bool | None = None,
    ctx2out: bool | None = None,
    device: Any = None,
    dtype: Any = None,
) -> SoftAttention | CaptionDecoder:
    """The attention, or with `vocab_size` the decoder around it.

    Args:
        dim: C of the annotations.
        variant: the form of `CaptionDecoder`, `original` or `tutorial`.
        query_dim, attention_dim, num_layers, gate, bias, temperature: of `SoftAttention`.
        activation: of the sum, by default `tanh`, and `relu` in the form `tutorial`.
        semi_sampling_p: of `HardAttention`; None for soft attention.
        vocab_size: of the decoder; None for the attention alone.
        embed_dim: of the decoder's words, by default `query_dim`.
        prev2out, ctx2out: of the decoder in the form `original`.
    """
    options: dict[str, Any] = {
        "query_dim": query_dim, "attention_dim": attention_dim, "num_layers": num_layers,
        "activation": activation or ("relu" if variant == "tutorial" else "tanh"),
        "gate": gate, "bias": bias, "temperature": temperature,
        "device": device, "dtype": dtype,
    }  # fmt: skip
    if semi_sampling_p is None:
        attention = SoftAttention(dim, **options)
    else:
        attention = HardAttention(dim, semi_sampling_p=semi_sampling_p, **options)
    if vocab_size is None:
        return attention
    return CaptionDecoder(
        attention,
        vocab_size=vocab_size,
        embed_dim=attention.query_dim if embed_dim is None else embed_dim,
        form=variant,
        prev2out=prev2out,
        ctx2out=ctx2out,
        device=device,
        dtype=dtype,
    )
