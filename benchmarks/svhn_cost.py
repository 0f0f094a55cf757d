"""Parameters and multiplications of DRAM against convolutional networks on house numbers.

    python benchmarks/svhn_cost.py [--out benchmarks]

One image, forward only: multiply-accumulates of convolutions and matrix products (half of
`torch.utils.flop_counter`). Nothing is computed, so this runs anywhere in seconds. Writes
svhn_cost.json and svhn_cost.md.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

import zoo
from zoo.runtime.files import write_atomically


@dataclass(frozen=True, slots=True)
class Row:
    """A network at one size of image; `paper` is what arXiv 1412.7755 prints for its like."""

    name: str
    size: int
    parameters: int
    macs: int
    paper: str


NETWORKS: tuple[tuple[str, str, int, dict[str, Any], str], ...] = (
    ("cnn_svhn_grey", "cnn_svhn_grey", 32, {}, ""),
    ("cnn11_svhn", "cnn11_svhn", 54, {}, "ten layers: 51M, 2.1 GFLOP"),
    (
        "cnn11_svhn, maxout, locally connected",
        "cnn11_svhn",
        54,
        {"maxout": 3, "locally_connected": True, "norm": "subtractive", "digit_classes": 10},
        "",
    ),
    ("stn_svhn", "stn_svhn", 64, {}, ""),
    ("stn_svhn_multi", "stn_svhn_multi", 64, {}, ""),
    ("dram_svhn", "dram_svhn", 54, {}, "14M, 0.2 GFLOP"),
    ("dram_svhn, mean of 2 rollouts", "dram_svhn", 54, {"mc_samples": 2}, "14M, 0.35 GFLOP"),
    (
        "dram_svhn, forward and backward, 2 rollouts",
        "dram_svhn",
        54,
        {"mc_samples": 2, "forward_backward": True},
        "28M, 0.7 GFLOP",
    ),
    ("cnn11_svhn", "cnn11_svhn", 110, {}, "ten layers: 169M, 8.5 GFLOP"),
    ("dram_svhn", "dram_svhn", 110, {}, "14M, 0.2 GFLOP"),
)


def measure(title: str, name: str, size: int, options: dict[str, Any], paper: str) -> Row:
    """Count on the meta device: shapes without numbers."""
    with torch.device("meta"), torch.no_grad():
        model = zoo.create_model(name, img_size=size, **options).eval()
        channels: Any = model.in_chans
        image = torch.empty(1, channels, size, size)
        with FlopCounterMode(display=False) as counter:
            model(image)
    parameters = sum(p.numel() for p in model.parameters())
    return Row(title, size, parameters, counter.get_total_flops() // 2, paper)


def table(rows: list[Row]) -> str:
    lines = [
        "| network | image | parameters | multiplications | DRAM's paper, of its own networks |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row.name} | {row.size}x{row.size} | {row.parameters / 1e6:.2f}M | "
            f"{row.macs / 1e6:.0f}M | {row.paper} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    out = parser.parse_args().out
    rows = [measure(*network) for network in NETWORKS]
    text = json.dumps([asdict(row) for row in rows], indent=2) + "\n"
    write_atomically(out / "svhn_cost.json", text.encode())
    write_atomically(out / "svhn_cost.md", table(rows).encode())
    print(table(rows), end="")


if __name__ == "__main__":
    main()
