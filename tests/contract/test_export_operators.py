"""Operators that PyTorch has freed: their addresses are taken for operators, by TorchScript."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.jit import _builtins

import zoo

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit")


@pytest.fixture
def grown() -> Iterator[Any]:
    """An operator that gained an overload, and so a new object, after it was first used."""
    library = torch.library.Library("zoo_grown", "DEF")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda x: x * 2, "CPU")
    torch.ops.zoo_grown.twice(torch.ones(1))
    library.define("twice.scaled(Tensor x, float by) -> Tensor")
    yield torch.ops.zoo_grown.twice
    library._destroy()


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.zoo_grown.twice(self.conv(x))


def test_an_attribute_at_a_freed_address_is_no_operator(grown: Any, tmp_path: Path) -> None:
    model = Twice().eval()
    address = id(model.conv._reversed_padding_repeated_twice)
    table = _builtins._get_builtin_table()
    table[address] = "zoo_grown::twice"  # as if the list lay where the first object lay
    try:
        with pytest.raises(RuntimeError, match="builtin cannot be used as a value"):
            torch.jit.script(model)
        done = zoo.export(model, tmp_path / "twice.pt", example=torch.randn(1, 3, 8, 8))
    finally:
        table.pop(address, None)
    assert Path(done.path).is_file()
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(torch.jit.load(done.path)(x), model(x))


class Sorts(nn.Module):
    """Values with many equals, and where each came from."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        coarse = (x * 3).round()
        falling = coarse.sort(dim=1, descending=True, stable=True)
        return falling.values, coarse.argsort(dim=-1, stable=True) + falling.indices


@pytest.mark.parametrize("opset", [None, 18])
def test_a_stable_sort_is_one_in_onnx(tmp_path: Path, opset: int | None) -> None:
    pytest.importorskip("onnxruntime")
    options = {} if opset is None else {"opset": opset}
    done = zoo.export(Sorts(), tmp_path / "sorts.onnx", example=torch.rand(2, 40, 40), **options)
    assert done.absolute == 0
