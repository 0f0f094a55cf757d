"""The names that the authors and the port give to a Perceiver's weights."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from zoo.weights.keymaps import rename

PORT = (  # layers.i = (cross-attention, perceptron, ((self-attention, perceptron), ...))
    (r"^(layers\.\d+)\.cross_attn\.", r"\1.0."),  # the names since version 0.11
    (r"^(layers\.\d+)\.cross_ff\.", r"\1.1."),
    (r"^(layers\.\d+)\.self_attns\.", r"\1.2."),
    (r"^layers\.(\d+)\.([01])\.", r"cross.\1.\2."),
    (r"^layers\.(\d+)\.2\.(\d+)\.([01])\.", r"selfs.\1.\2.\3."),
    (r"\.1\.norm\.", ".norm_mlp."),
    (r"(^|\.0\.)norm\.", r"\1norm_q."),
    (r"\.1\.fn\.net\.0\.", ".fc1."),
    (r"\.1\.fn\.net\.2\.", ".fc2."),
    (r"norm_context\.", "norm_kv."),
    (r"fn\.to_(q|kv|out)\.", r"\1."),
    (r"^(cross\.\d+|selfs\.\d+\.\d+)\.0\.", r"\1."),  # the first of a pair
    (r"^to_logits\.1\.", "norm."),
    (r"^to_logits\.2\.", "head."),
)
OFFICIAL = (
    (r"^cross\.", "cross.0."),
    (r"^selfs\.", "selfs.0."),
    (r"\.norm\.", ".norm_q."),
    (r"(^|\.)(?:attn|mlp)\.", r"\1"),
    (r"^logits\.", "head."),
)


def from_authors(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Our names; k and v apart; layers that share their weights once."""
    rules = PORT if any("to_kv." in key for key in state) else OFFICIAL
    layers = len(getattr(module, "cross", ()))
    found: dict[str, Tensor] = {}
    for theirs, tensor in state.items():
        ours = rename(rules, theirs, "perceiver")
        layer = re.match(r"(?:cross|selfs)\.(\d+)\.", ours)
        if layer and int(layer[1]) >= layers:
            continue
        if re.search(r"(^|\.)kv\.", ours):
            for name, part in zip("kv", tensor.chunk(2), strict=True):
                found[re.sub(r"(^|\.)kv\.", rf"\g<1>{name}.", ours)] = part
        else:
            found[ours] = tensor
    return found
