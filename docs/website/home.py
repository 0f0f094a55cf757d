"""The first page: the README as it is, with pictures of some mechanisms in front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .drawings import Drawing
from .gallery import picture
from .html import words

# Chosen for how unlike each other they are; what is absent is left out.
SHOWN = (
    "simam", "criss_cross", "window", "efficient_multi_scale", "triplet", "picanet_global",
    "light_cbam", "attention_branch", "bat", "strip_pooling", "residual_mask_mixed", "cbam_spatial",
    "spatial_channel_synergistic", "large_separable_kernel", "concurrent_se", "gated_positional",
    "multi_head",
)  # fmt: skip
BUTTONS = """\
<p class="buttons">
<a class="md-button md-button--primary" href="mechanisms/">Walk through the mechanisms</a>
<a class="md-button" href="your-model/">Attention in your model</a>
<a class="md-button" href="atlas/">Costs and comparisons</a></p>
"""


def page(readme: str, drawings: Mapping[str, Drawing]) -> str:
    """The README with links and a strip of pictures in front of its first picture."""
    strip = _strip([drawings[n] for n in SHOWN if n in drawings and picture(drawings[n])])
    before, mark, after = readme.partition("![")
    return f"---\ntitle: zoo\nhide: [navigation]\n---\n\n{before}{strip}\n\n{mark}{after}"


def _strip(drawings: Sequence[Drawing]) -> str:
    if not drawings:
        return ""
    cells = "".join(
        f'<a href="mechanisms/{d.name}/"><img class="pixels" src="effects/{d.name}-cat.png" alt="" '
        f'width="112" height="112"><span>{words(d.name)}</span></a>'
        for d in drawings
    )
    return (
        f"{BUTTONS}\n"
        '<div class="strip"><img src="photographs/cat.jpg" alt="A photograph of a cat" width="112" '
        f'height="112">{cells}</div>\n\n'
        "*What some of them do to one photograph before any training: of a gate, how much each "
        "position is let through; of the others, where the output in the middle comes from. Each "
        "has its own scale, which stands on its page.*"
    )
