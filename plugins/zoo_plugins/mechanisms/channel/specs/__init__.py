"""Channel attention: what to attend to. What is stated of each mechanism, without torch."""

from zoo_plugins.mechanisms.channel.specs import branches, gates

ATTENTIONS = (
    *gates.ATTENTIONS,
    *branches.ATTENTIONS,
)
