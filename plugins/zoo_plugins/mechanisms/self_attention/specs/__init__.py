"""What is stated of each self-attention, without torch."""

from zoo_plugins.mechanisms.self_attention.specs import (
    chosen_places,
    convolution,
    subquadratic,
    tokens,
    whole_map,
    windows,
)

ATTENTIONS = (
    *whole_map.ATTENTIONS,
    *windows.ATTENTIONS,
    *chosen_places.ATTENTIONS,
    *convolution.ATTENTIONS,
    *tokens.ATTENTIONS,
    *subquadratic.ATTENTIONS,
)
