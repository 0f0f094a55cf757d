"""High-order attention, of which no code is published, against what its definition determines."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import zoo


def build(order: int, threshold: float = 0.5, channels: int = 4) -> Any:
    torch.manual_seed(0)
    module: Any = zoo.create_attention(
        "high_order", channels, order=order, threshold=threshold, dtype=torch.float64
    )
    torch.nn.init.normal_(module.out.weight)
    return module


def fan(angles: list[float]) -> Tensor:
    """Unit vectors in a plane: neighbours of each other up to 60 degrees apart."""
    radians = torch.tensor(angles, dtype=torch.float64).deg2rad()
    return torch.stack([radians.cos(), radians.sin()], 1)[None]


def test_each_order_reaches_one_step_further() -> None:
    module, chain = build(order=3), fan([0, 50, 100, 150, 200])
    graphs = module.neighbours(chain, chain)[0]
    distance = (torch.arange(5) - torch.arange(5)[:, None]).abs()
    for h in range(3):
        assert torch.equal(graphs[h], distance <= h + 1)


def test_without_a_path_no_order_helps() -> None:
    module, apart = build(order=4), fan([0, 30, 180, 210])
    graphs = module.neighbours(apart, apart)[0]
    blocks = torch.eye(2, dtype=torch.bool).repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert torch.equal(graphs, blocks.expand(4, 4, 4))


def test_attention_is_normalised_over_the_neighbours() -> None:
    module, x = build(order=2), torch.randn(2, 4, 3, 5, dtype=torch.float64)
    attention = module.attention(x)
    torch.testing.assert_close(attention.sum(3), torch.ones_like(attention[..., 0]))
    tokens = [f(x).flatten(2).transpose(1, 2) for f in (module.theta, module.phi)]
    assert torch.equal(attention > 0, module.neighbours(*tokens))


def test_output_aggregates_by_the_attention_of_each_order() -> None:
    module, x = build(order=2), torch.randn(2, 4, 3, 5, dtype=torch.float64)
    values = module.g(x).flatten(2).unflatten(1, (2, -1)).transpose(2, 3)
    seen = (module.attention(x) @ values).transpose(2, 3).flatten(1, 2).unflatten(2, (3, 5))
    torch.testing.assert_close(module(x), x + module.out(seen))


def test_with_all_neighbours_it_is_a_non_local_block() -> None:
    module, x = build(order=1, threshold=-2), torch.randn(2, 4, 3, 5, dtype=torch.float64)
    block: Any = zoo.create_attention(
        "non_local", 4, variant="official", sub_sample=False, bn=False, dtype=torch.float64
    )
    with torch.no_grad():
        for ours, theirs in ("theta", "t"), ("phi", "p"), ("g", "g"), ("out", "z"):
            layer = block.get_submodule(theirs)
            layer.weight.copy_(module.get_submodule(ours).weight)
            layer.bias.zero_()
    torch.testing.assert_close(module(x), block(x))


def test_with_no_neighbours_a_position_sees_itself() -> None:
    module, x = build(order=2, threshold=2), torch.randn(2, 4, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(module(x), x + module.out(module.g(x)))
