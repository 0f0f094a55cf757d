"""Mixed high-order attention, against its equations."""

from __future__ import annotations

from typing import Any

import torch

import zoo


def test_degree_of_each_term() -> None:
    """x doubled makes what goes into W_r 2^r times as large."""
    torch.manual_seed(0)
    module: Any = zoo.create_attention("mixed_high_order", 16, order=3)
    gate, seen = module.orders[0], []
    for layer in gate.expand:
        layer.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    x = torch.randn(1, 16, 2, 2)
    module(x), module(2 * x)
    for r in range(3):
        torch.testing.assert_close(seen[3 + r], 2 ** (r + 1) * seen[r])
        assert seen[r].min() == 0 < seen[r].max()


def test_mixed_joins_the_orders_along_the_batch() -> None:
    torch.manual_seed(0)
    module: Any = zoo.create_attention("mixed_high_order", 8, mixed=True, max_order=3)
    x = torch.randn(2, 8, 3, 3)
    y = module(x).unflatten(0, (3, 2))
    for r in range(3):
        single: Any = zoo.create_attention("mixed_high_order", 8, order=r + 1)
        single.orders[0].load_state_dict(module.orders[r].state_dict())
        torch.testing.assert_close(y[r], single(x))
