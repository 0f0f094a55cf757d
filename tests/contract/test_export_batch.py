"""Models are exported with a batch of any size: nothing keeps the size it was traced with."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.export import Dim, export

import zoo

pytestmark = pytest.mark.long

SMALL = {
    "ram_mnist": {"num_glimpses": 2, "hidden_size": 16},
    "dram_mnist_pairs": {"cell_size": 16, "glimpse_dim": 16, "filters": (4, 4, 4)},
    "stn_mnist": {},
    "perceiver_64": {},
    "slot_cnn_64": {},
}


@pytest.mark.parametrize("name", SMALL)
def test_a_free_batch_is_exported(name: str) -> None:
    model: Any = zoo.create_model(name, **SMALL[name]).eval()
    shape = model.pretrained_cfg["input_size"]
    free = {0: Dim("batch", min=1, max=16)}
    exported = export(model, (torch.rand(3, *shape),), dynamic_shapes=(free,), strict=False)
    x = torch.rand(5, *shape)
    with torch.no_grad():
        torch.testing.assert_close(exported.module()(x), model(x))
