"""Recurrent attention: maps that are refined step by step.

What is stated of each mechanism, without torch.
"""

from zoo.registry.specs import AttentionSpec, Insertion, Provenance
from zoo_plugins import papers

PACKAGE = "zoo_plugins.mechanisms.recurrent"

ATTENTIONS = (
    AttentionSpec(
        name="dvan",
        aliases=("diversified_visual_attention",),
        target=f"{PACKAGE}.dvan:DiversifiedAttention",
        family="recurrent",
        contract="head",
        insertion=Insertion(role="none", needs_size=True),
        provenance=Provenance(
            paper=papers.DVAN,
            reference="equations",
            verified="equations",
            notes=(
                "No code was released. The scales of the canvases, the start of the LSTM and "
                "the overlap by equal positions are choices made here."
            ),
        ),
    ),
)
