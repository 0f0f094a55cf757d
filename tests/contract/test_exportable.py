"""The record of what can be exported says what is so."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]
RECORD = json.loads((ROOT / "benchmarks/exportable.json").read_text("utf-8"))["rows"]
ROWS = [(backbone, name) for backbone, names in RECORD.items() for name in names]
QUICK = {("resnet18", "adl"): ("script", "trace"),
         ("vit_tiny_patch16_224", "attention_free"): ("trace",)}  # fmt: skip


@pytest.fixture(scope="module")
def script() -> Any:
    """The script `benchmarks/exportable.py`, as `python` would run it."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return __import__("exportable")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def test_the_record_is_of_mechanisms_that_there_are(script: Any) -> None:
    assert ROWS and set(ROWS) <= set(script.rows())
    assert all(
        set(ways) <= set(script.WAYS) for names in RECORD.values() for ways in names.values()
    )


@pytest.mark.filterwarnings("ignore")  # of exporters and compilers
@pytest.mark.parametrize(("backbone", "name"), QUICK)
def test_a_row_is_as_recorded(script: Any, backbone: str, name: str) -> None:
    row = script.Row(script.build(backbone, name))
    for way in QUICK[backbone, name]:
        assert row.check(way) == RECORD[backbone][name][way]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("backbone", "name"), ROWS[::9])
def test_a_sample_is_as_recorded(script: Any, backbone: str, name: str) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    row = script.Row(script.build(backbone, name))
    for way, told in RECORD[backbone][name].items():
        assert bool(row.check(way)) == bool(told), (way, told)


def test_a_difference_is_seen(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What computes something else does not get a row that says it works."""
    model = script.build("resnet18", "adl")
    made = script.make

    def spoilt(way: str, order: Any) -> Any:
        with torch.no_grad():
            parameter = next(model.parameters())
            parameter.mul_(1.01)
            try:
                return made(way, order)
            finally:
                parameter.div_(1.01)

    monkeypatch.setattr(script, "make", spoilt)
    assert "computes something else" in script.Row(model).check("trace")
