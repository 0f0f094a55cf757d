"""The text of docs/exportable.md: which mechanisms go into which format, from the record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mechanism_tables import table

from zoo.registry import Registry

RECORD = Path(__file__).parents[1] / "benchmarks/exportable.json"
ONE_BATCH = "for one size of batch only: "
WAYS = {
    "script": "TorchScript, scripted", "trace": "TorchScript, traced", "pt2": "`torch.export`",
    "onnx": "ONNX", "compile": "`torch.compile`",
}  # fmt: skip
BACKBONES = {
    "resnet18": "In resnet18",
    "vit_tiny_patch16_224": "In a vision transformer",
}
HEAD = """\
# What can be exported

This file is written by `python docs/generate.py` from `benchmarks/exportable.json`, the record of
`benchmarks/exportable.py`. Please do not edit it by hand.

`zoo export MODEL OUT` and `zoo.export(model, path)` write a model as ONNX (`.onnx`), a program of
`torch.export` (`.pt2`) or as TorchScript (`.torchscript`, `.pt`). What was made is read back and
compared with the model first, on random inputs of several sizes; only then is the file written.

```sh
zoo export cbam_resnet50 cbam.onnx --dynamic-size    # opset, inputs, outputs, largest differences
zoo export ram_mnist ram.pt2
```

A cell says ✓ where the model, with the mechanism in it, went that way and agreed with itself to
1e-4 of its largest number on batches of 2, 3 and 1; (✓) where it did so for one size of batch only.
A number is the reason why it did not, below; an empty cell was not run. ONNX is run by onnxruntime;
`torch.compile` is `fullgraph=True` with the backend "eager", the capture of one graph. The models
are resnet18 with one block a stage and a quarter of its channels, and vit_tiny_patch16_224 with two
blocks, at 64 x 64.
"""


def exportable(_: Registry) -> str:
    """The whole text: a table for each backbone, then the reasons."""
    record = json.loads(RECORD.read_text("utf-8"))
    rows: Mapping[str, Mapping[str, Mapping[str, str]]] = record["rows"]
    said = [told for names in rows.values() for ways in names.values() for told in ways.values()]
    texts = dict.fromkeys(_reason(told) for told in said if told)
    reasons = {reason: number for number, reason in enumerate(texts, 1)}
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    parts = [HEAD, f"Versions: {versions}.\n"]
    for backbone, names in rows.items():
        cells = [
            (f"`{name}`", *(_cell(ways.get(way), reasons) for way in WAYS))
            for name, ways in names.items()
        ]
        parts += [f"## {BACKBONES[backbone]}\n", table(("mechanism", *WAYS.values()), cells)]
        parts += [_counts(names)]
    listed = [f"{number}. {' '.join(reason.split())}" for reason, number in reasons.items()]
    return "\n".join([*parts, "## Reasons\n", *listed]) + "\n"


def _reason(told: str) -> str:
    return told.removeprefix(ONE_BATCH)


def _cell(told: str | None, reasons: Mapping[str, int]) -> str:
    if not told:
        return "" if told is None else "✓"
    number = reasons[_reason(told)]
    return f"(✓) {number}" if told.startswith(ONE_BATCH) else str(number)


def _counts(names: Mapping[str, Mapping[str, str]]) -> str:
    """How many of those that were run went each way."""
    found: list[str] = []
    for way, title in WAYS.items():
        run = [ways[way] for ways in names.values() if way in ways]
        works = sum(not told or told.startswith(ONE_BATCH) for told in run)
        found.append(f"{title} {works} of {len(run)}")
    return f"{', '.join(found)}.\n"
