"""What docs/warm-starts.md calls kept, steep and still, on a record that is made up."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    sys.path.insert(0, str(DOCS))
    try:
        return __import__("warm_tables")
    finally:
        sys.path.remove(str(DOCS))


def row(norms: list[float], *top1: float, still: tuple[str, ...] = ()) -> dict[str, Any]:
    runs = {
        f"{order}": {"20": {"top1": value, "loss": 1.0}, "still": list(still)}
        for order, value in enumerate(top1)
    }
    return {"norms": norms, "logits": 0.0, "form": "exact", "runs": {"AdamW 1e-3": runs}}


PLAIN = row([10.0, 30.0], 50, 60, 40, 50, 55)


def test_the_gradient_is_that_over_the_same_batches(tables: ModuleType) -> None:
    assert tables.ratio(row([13.0]), PLAIN) == pytest.approx(1.3)
    assert tables.ratio(row([20.0, 40.0]), PLAIN) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("top1", "kept"),
    [((51, 58, 41, 49, 55), True), ((40, 50, 30, 40, 45), False), ((80, 30, 60, 20, 55), True),
     ((41,), True), ((39,), False)],
)  # fmt: skip
def test_accuracy_is_kept_within_the_noise_of_the_orders(
    tables: ModuleType, top1: tuple[float, ...], kept: bool
) -> None:
    assert list(tables.kept(row([1.0], *top1), PLAIN)) == [kept]


def test_what_adamw_does_not_move_is_still(tables: ModuleType) -> None:
    found = row([1.0], 50, still=("a.alpha",))
    found["runs"]["SGD 0.01"] = row([1.0], 50, still=("a.bias",))["runs"]["AdamW 1e-3"]
    assert tables.still(found) == {"a.alpha"}
