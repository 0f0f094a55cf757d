"""Detectors of Ultralytics, where that package (AGPL-3.0, no dependency) is installed."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch

import zoo

X = torch.rand(1, 3, 64, 64)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("YOLO_OFFLINE", "1")
    tasks = pytest.importorskip("ultralytics.nn.tasks")
    torch.manual_seed(0)
    return tasks.DetectionModel("yolo11n.yaml", verbose=False).eval()


def test_boxes_stay_where_they_are_and_attention_learns(model: Any) -> None:
    with torch.no_grad():
        before = model(X)[0]
        zoo.add_attention(model, "cbam", at=["model.4", "model.6", "model.9"], example=X)
        torch.testing.assert_close(model(X)[0], before)
    model.train()
    found = model(X)
    loss = sum(t.float().square().mean() for t in found.values() if torch.is_tensor(t))
    loss.backward()
    gradients = [p.grad for p in zoo.attention_parameters(model)]
    assert gradients and all(g is not None and g.isfinite().all() for g in gradients)


def test_copied_pickled_and_fused(model: Any) -> None:
    zoo.add_attention(model, "simam", at=["model.6"], example=X)
    with torch.no_grad():
        zoo.attention_parameters(model)[0].add_(0.5)
        expected = model(X)[0]
        for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            torch.testing.assert_close(again(X)[0], expected)
        torch.testing.assert_close(model.fuse(verbose=False)(X)[0], expected, rtol=1e-3, atol=1e-2)
