"""Which mechanisms can be scripted, traced, exported and compiled, and why the others cannot.

    OMP_NUM_THREADS=1 nice -n 19 python benchmarks/exportable.py [NAME...] [--way WAY] [--again]

Every mechanism that goes into a backbone, in resnet18 with one block a stage and a quarter of its
channels, and every token mixer, in a vit_tiny of two blocks; images of 64 x 64, random weights
whose scales and shifts are moved off their start. What is made is read back and must agree with
the model to 1e-4 of its largest number on batches of 2, 3 and 1 (`zoo.export`). Where no file takes
every batch, one is made for a batch of 2. `compile` is `torch.compile(fullgraph=True)` with the
backend "eager": Dynamo's capture of one whole graph, without generated kernels.

Writes benchmarks/exportable.json after each row, from which `python docs/generate.py` makes
docs/exportable.md. What is there is left out, so that a run can be taken up again; --again runs it
anew.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from timm.layers import set_exportable, set_scriptable
from torch import nn

import zoo
from zoo.errors import ExportError, ZooError
from zoo.export.compare import differences, expected_of
from zoo.export.facts import Facts
from zoo.export.inputs import trials
from zoo.export.programs import Order, eager, make, quiet, reason_of
from zoo.registry import default_registry
from zoo.registry.catalogue import goes_into_backbones
from zoo.registry.specs import AttentionSpec
from zoo.registry.targets import resolve
from zoo.runtime.files import write_atomically

RECORD = Path(__file__).parent / "exportable.json"
WAYS = ("script", "trace", "pt2", "onnx", "compile")
REGISTRY = default_registry()
CONVNET: dict[str, Any] = {
    "layers": (1, 1, 1, 1), "channels": (16, 32, 64, 128), "num_classes": 5, "img_size": 64,
}  # fmt: skip
TRANSFORMER: dict[str, Any] = {"depth": 2, "num_classes": 5, "img_size": 64}
GRID = {"class_token": False, "global_pool": "avg"}  # for a mixer that needs a grid of tokens
ONE_BATCH = "for one size of batch only: "
PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime")


def rows() -> Iterator[tuple[str, str]]:
    """(backbone, mechanism) of every row."""
    for name, spec in sorted(REGISTRY.attentions.items()):
        if not goes_into_backbones(spec):
            continue
        if spec.insertion.role != "replace_mixer":
            yield "resnet18", name
        if spec.insertion.role == "replace_mixer" or _has_token_form(spec):
            yield "vit_tiny_patch16_224", name


def _has_token_form(spec: AttentionSpec) -> bool:
    return hasattr(resolve(spec.target, REGISTRY.owner(spec)), "token_mixer")


def build(backbone: str, name: str) -> nn.Module:
    """The model of a row."""
    options = CONVNET if backbone == "resnet18" else TRANSFORMER
    if backbone != "resnet18" and REGISTRY.attentions[name].insertion.needs_size:
        options = {**options, **GRID}
    torch.manual_seed(0)
    with set_exportable(True), set_scriptable(True):
        model = zoo.create_model(f"{name}_{backbone}", **options)
    return _shaken(model.eval())


@torch.no_grad()
def _shaken(model: nn.Module) -> nn.Module:
    """Scales and shifts off their start: a gamma of zero would hide what it scales."""
    for parameter in (p for p in model.parameters() if p.ndim < 2):
        parameter.add_(0.1 * torch.rand_like(parameter))
    return model


class Row:
    """What is tried with one model; the graph of `torch.export` is made once for each batch."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.orders: dict[int | None, Order] = {}
        self.expected: dict[int | None, Any] = {}

    @torch.no_grad()
    def check(self, way: str) -> str:
        """What keeps the model from going this way; "" if nothing does."""
        refused = ""
        for batch in (None, 2):
            try:
                self._compare(way, batch)
            except ExportError as error:
                refused = refused or error.what
            else:
                return f"{ONE_BATCH}{refused}" if refused else ""
        return refused

    def _compare(self, way: str, batch: int | None) -> None:
        if batch not in self.orders:
            given = trials(self.model, None, batch_size=batch, dynamic_size=False)
            self.expected[batch] = expected_of(eager(self.model), given)
            self.orders[batch] = Order(
                model=self.model, trials=given, outputs=("output",), facts=Facts({})
            )
        order = self.orders[batch]
        run = compiled(self.model) if way == "compile" else make(way, order).run
        differences(run, order.trials, self.expected[batch])


def compiled(model: nn.Module) -> Callable[..., Any]:
    """The model in one graph of Dynamo's, or an error."""
    torch.compiler.reset()
    return eager(torch.compile(model, fullgraph=True, backend="eager"))  # pyright: ignore[reportArgumentType]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="mechanisms; default all")
    parser.add_argument("--way", action="append", choices=WAYS, help="default all")
    parser.add_argument("--again", action="store_true", help="also what is in the record")
    given = parser.parse_args()
    record = json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {"rows": {}}
    record["versions"] = {name: version(name) for name in PACKAGES}
    for backbone, name in rows():
        row = record["rows"].get(backbone, {}).get(name, {})
        ways = [way for way in given.way or WAYS if given.again or way not in row]
        if ways and (not given.names or name in given.names):
            found = {**row, **_row(backbone, name, ways)}
            record["rows"].setdefault(backbone, {})[name] = found
            write_atomically(RECORD, f"{json.dumps(record, indent=1, sort_keys=True)}\n".encode())


def _row(backbone: str, name: str, ways: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    row = Row(build(backbone, name))
    for way in ways:
        try:
            found[way] = row.check(way)
        except Exception as error:  # a row must not end the run
            found[way] = error.what if isinstance(error, ZooError) else reason_of(error)
        print(f"{name}_{backbone} {way}: {found[way] or 'works'}", flush=True)
    return found


if __name__ == "__main__":
    with quiet():
        main()
