"""What is stated of each self-attention, without torch."""

from zoo_plugins.mechanisms.self_attention import (
    specs_linear,
    specs_mixers,
    specs_newer,
    specs_windows,
)
from zoo_plugins.mechanisms.self_attention.specs_local import LOCAL
from zoo_plugins.mechanisms.self_attention.specs_maps import MAPS
from zoo_plugins.mechanisms.self_attention.specs_tokens import TOKENS

ATTENTIONS = (
    *MAPS,
    *LOCAL,
    *TOKENS,
    *specs_newer.ATTENTIONS,
    *specs_linear.ATTENTIONS,
    *specs_mixers.ATTENTIONS,
    *specs_windows.ATTENTIONS,
)
