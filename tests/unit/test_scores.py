"""What an output says of an image, of each kind."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from zoo.explain.maps.scores import read

MODEL = nn.Identity()


def test_of_positions_a_class_has_those_that_are_given_it() -> None:
    rows = [[5.0, 1, 0], [0, 0, 2]], [[1, 3, 4], [9, 0, 1]], [[0, 0, 0], [0, 7, 0]]
    logits = torch.tensor(rows)
    found = read(MODEL, {"out": logits[None]})
    assert found is not None and found.kind == "map" and found.count == 3
    assert [float(found.of(c)) for c in range(3)] == [5 + 2, 3 + 4 + 9, 7]
    torch.testing.assert_close(found.shares(), torch.tensor([2 / 6, 3 / 6, 1 / 6]))
    none = read(MODEL, torch.cat([logits, logits[:1] - 10])[None])
    assert none is not None and float(none.of(3)) == float((logits[0] - 10).sum())


def test_of_one_logit_the_positive_positions_count() -> None:
    logits = torch.tensor([[[[2.0, -1], [3, -4]]]])
    found = read(MODEL, logits)
    assert found is not None and float(found.of(0)) == 5 and found.shares().tolist() == [0.5]
    single = read(MODEL, torch.tensor([[0.0]]))
    assert single is not None and single.shares().tolist() == [0.5]


@pytest.mark.parametrize("detects", [True, False])
def test_of_queries_the_best_counts_and_no_object_is_no_class(detects: bool) -> None:
    logits = torch.tensor([[[1.0, 4, 0], [3, 2, 9]]])
    boxes = {"pred_boxes": torch.zeros(1, 2, 4)} if detects else {}
    found = read(MODEL, SimpleNamespace(logits=logits, **boxes))
    assert found is not None and found.kind == "queries" and found.count == (2 if detects else 3)
    assert [float(found.of(c)) for c in range(2)] == [3, 4]
    known = logits[..., :2] if detects else logits
    torch.testing.assert_close(found.shares(), known[0].softmax(-1).amax(0))


def test_of_boxes_those_of_the_class_count() -> None:
    boxes = {"scores": torch.tensor([0.9, 0.5, 0.25]), "labels": torch.tensor([2, 0, 2])}
    found = read(MODEL, [boxes])
    assert found is not None and found.kind == "boxes"
    assert [float(found.of(c)) for c in (0, 1, 2)] == pytest.approx([0.5, 0, 1.15])
    assert found.shares().tolist() == pytest.approx([0.5, 0, 0.9])
