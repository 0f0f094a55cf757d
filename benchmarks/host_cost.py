"""What an attention adds to the parameters and multiplications of torchvision's networks.

    python benchmarks/host_cost.py [--out benchmarks]

One image, forward only, at the default places of `zoo.add_attention`: multiply-accumulates of
convolutions, matrix products and attention (half of `torch.utils.flop_counter`). Nothing is
computed, so this runs anywhere in a minute. Writes host_cost.json and host_cost.md.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import zoo
from zoo.runtime.files import write_atomically

HOSTS = {
    "resnet50": 224, "convnext_tiny": 224, "swin_t": 224, "vit_b_16": 224,
    "fcn_resnet50": 520, "deeplabv3_resnet50": 520,
}  # fmt: skip
ATTENTIONS = ("se", "eca", "cbam", "coordinate", "simam")


@dataclass(frozen=True, slots=True)
class Row:
    """A host with an attention, or with none: its parameters and multiply-accumulates."""

    host: str
    size: int
    attention: str
    places: int
    parameters: int
    macs: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    out: Path = parser.parse_args().out
    rows = [row for name, size in HOSTS.items() for row in measure(name, size)]
    facts = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    content = {**facts, "rows": [asdict(row) for row in rows]}
    write_atomically(out / "host_cost.json", (json.dumps(content, indent=1) + "\n").encode())
    write_atomically(out / "host_cost.md", table(rows).encode())


def measure(name: str, size: int) -> list[Row]:
    """The host alone, then with each attention, taken out again before the next."""
    models = torchvision.models
    with torch.device("meta"):
        if hasattr(models, name):
            model = getattr(models, name)()
        else:
            model = getattr(models.segmentation, name)(weights_backbone=None)
        image = torch.empty(1, 3, size, size)
    model.eval()
    rows = [Row(name, size, "", 0, *count(model, image))]
    for attention in ATTENTIONS:
        zoo.add_attention(model, attention, example=image)
        cost = count(model, image)
        rows.append(Row(name, size, attention, len(zoo.remove_attention(model)), *cost))
    return rows


def count(model: nn.Module, image: torch.Tensor) -> tuple[int, int]:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(image)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return parameters, counter.get_total_flops() // 2


def table(rows: list[Row]) -> str:
    """As a page: absolute for a host, in per cent for what is added."""
    lines = [
        "# What attention adds to a host\n",
        "Written by `python benchmarks/host_cost.py`; do not edit. One image, at the default",
        "places: parameters, and multiply-accumulates of convolutions and matrix products.\n",
        "| host | size | attention | places | parameters | MACs |",
        "|---|---|---|---|---|---|",
    ]
    bare: Row | None = None
    for row in rows:
        if not row.attention:
            bare = row
            cells = [f"{row.parameters:,}", f"{row.macs:,}"]
        else:
            assert bare is not None
            pairs = (row.parameters, bare.parameters), (row.macs, bare.macs)
            cells = [f"+{100 * (new - old) / old:.3f} %" for new, old in pairs]
        places = str(row.places or "")
        facts = [row.host, str(row.size), row.attention or "none", places, *cells]
        lines.append(f"| {' | '.join(facts)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
