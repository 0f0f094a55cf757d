"""Channel and spatial attention together. What is stated of each mechanism, without torch."""

from zoo_plugins.mechanisms.mixed.specs import branches, directions, gates

ATTENTIONS = (
    *gates.ATTENTIONS,
    *directions.ATTENTIONS,
    *branches.ATTENTIONS,
)
