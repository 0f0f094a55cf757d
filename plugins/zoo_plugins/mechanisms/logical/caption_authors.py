"""From the reference codes of "Show, attend and tell" to ours.

`original`: kelvinxu/arctic-captions (Theano; weights are (in, out), LSTM gates in the order i, f,
o, g). `tutorial`: sgrvinod/a-PyTorch-Tutorial-to-Image-Captioning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo_plugins.mechanisms.logical.caption_decoder import CaptionDecoder
from zoo_plugins.mechanisms.logical.caption_losses import negative_entropy, word_costs
from zoo_plugins.mechanisms.logical.show_attend_tell import HardAttention, SoftAttention

THEANO = (  # every weight is transposed
    (r"^decoder_(\w+)_att$", r"att.\1"),
    (r"^decoder_W_att_(\d+)$", r"attention.additive.memory.\1.weight"),
    (r"^decoder_b_att_(\d+)$", r"attention.additive.memory.\1.bias"),
    (r"^att\.Wc$", "attention.additive.memory.0.weight"),
    (r"^att\.b$", "attention.additive.memory.0.bias"),
    (r"^att\.Wd$", "attention.additive.query.weight"),
    (r"^att\.U$", "attention.additive.score.weight"),
    (r"^decoder_c_tt$", ""),  # moves no weight of the softmax
    (r"^decoder_W_sel$", "attention.gate.weight"),
    (r"^decoder_b_sel$", "attention.gate.bias"),
    (r"^ff_state_", "init_h."),
    (r"^ff_memory_", "init_c."),
    (r"^ff_logit_lstm_", "readout.hidden."),
    (r"^ff_logit_ctx_", "readout.context."),
    (r"^ff_logit_", "readout.output."),
    (r"\.W$", ".weight"),
    (r"\.b$", ".bias"),
)
LSTM = ("decoder_W", "decoder_Wc", "decoder_U", "decoder_b")
TUTORIAL = (
    (r"^(attention\.)?encoder_att\.", r"\1additive.memory.0."),
    (r"^(attention\.)?decoder_att\.", r"\1additive.query."),
    (r"^(attention\.)?full_att\.", r"\1additive.score."),
    (r"^f_beta\.", "attention.gate."),
    (r"^decode_step\.", "lstm."),
    (r"^fc\.", "readout."),
)


def from_authors(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The state dict of either code under our names; which it is, the keys tell."""
    if "decoder_Wc_att" in state:
        found = _from_theano(state)
        if isinstance(module, CaptionDecoder):
            return found
        return {key.removeprefix("attention."): tensor for key, tensor in found.items()}
    found = {_renamed(key, TUTORIAL): tensor for key, tensor in state.items()}
    for key in [key for key in found if key.endswith("additive.query.bias")]:
        at = key.removesuffix("query.bias")
        found[f"{at}memory.0.bias"] = found[f"{at}memory.0.bias"] + found.pop(key)
    # The bias of the score moves no weight of the softmax.
    return {key: tensor for key, tensor in found.items() if not key.endswith("score.bias")}


def _from_theano(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = {"embedding.weight": state["Wemb"], **_lstm(state)} if "decoder_U" in state else {}
    for key, tensor in state.items():
        ours = _renamed(key, THEANO)
        if ours and key not in (*LSTM, "Wemb"):
            found[ours] = tensor.T if tensor.ndim == 2 else tensor
    return found


def _lstm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    words, context, hidden, bias = (_gates(state[key]) for key in LSTM)
    return {
        "lstm.weight_ih": torch.cat((words, context), 1),
        "lstm.weight_hh": hidden,
        "lstm.bias_ih": bias,
        "lstm.bias_hh": torch.zeros_like(bias),
    }


def _gates(theano: Tensor) -> Tensor:
    """Their gates i, f, o, g along the last dimension; ours i, f, g, o along the first."""
    i, f, o, g = theano.chunk(4, -1)
    return torch.cat((i, f, g, o), -1).T if theano.ndim == 2 else torch.cat((i, f, g, o))


def _renamed(key: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in pairs:
        key = re.sub(pattern, replacement, key)
    return key


def reference_call(
    module: SoftAttention | CaptionDecoder, features: Tensor, *others: Tensor
) -> Mapping[str, Tensor]:
    """What the reference cases record, time first for the Theano code."""
    if isinstance(module, SoftAttention):
        attended = module.look(others[0], features, module.additive.project(features))
        return {"context": attended.context, "attention": attended.weights}
    if module.form == "tutorial":
        return _captions(module, features, *others)
    return _words(module, features, *others)


def _captions(
    module: CaptionDecoder, features: Tensor, captions: Tensor, lengths: Tensor
) -> Mapping[str, Tensor]:
    """The tutorial: as many steps as the longest caption has words after the first."""
    steps = int(lengths.max()) - 1
    mask = torch.arange(steps, device=lengths.device) < lengths.view(-1, 1) - 1
    decoded = module.decode(features, captions[:, :steps])
    present = mask.unsqueeze(-1)
    return {"logits": decoded.logits * present, "attention": decoded.attention * present}


def _words(
    module: CaptionDecoder,
    features: Tensor,
    words: Tensor,
    mask: Tensor,
    sample_index: Tensor | None = None,
) -> Mapping[str, Tensor]:
    """The Theano code: words, mask and drawn positions are (T, B)."""
    drawing: dict[str, Any] = {} if sample_index is None else {"choice": sample_index.T}
    decoded = module.decode(features, words.T, word_mask=mask.T, **drawing)
    found = {
        "logits": decoded.logits,
        "hidden": decoded.hidden,
        "attention": decoded.attention,
        "context": decoded.context,
        "gate": decoded.gate,
        "masked_cost": word_costs(decoded.logits, words.T, mask.T),
    }
    if isinstance(module.attention, HardAttention) and decoded.log_prob is not None:
        found["log_prob"] = decoded.log_prob
    found = {name: tensor.transpose(0, 1) for name, tensor in found.items()}
    return {**found, "entropy_term": negative_entropy(decoded.attention)}
