"""Hosts of every package: outputs unmoved, attention that learns, copies, files, and the way back.

The small hosts run always (those of a package that is not installed are skipped), the networks
that people use with `-m slow`.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from host_table import LARGE, SMALL, Host
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import zoo

pytestmark = pytest.mark.long

CASES = [
    *(pytest.param(host, id=name) for name, host in SMALL.items()),
    *(pytest.param(host, id=name, marks=pytest.mark.slow) for name, host in LARGE.items()),
]


IN_PLACE = ("stand_alone", "external_multihead", "multi_head")  # of what is found by its class


@pytest.fixture(params=CASES)
def host(request: pytest.FixtureRequest) -> Iterator[tuple[nn.Module, Any, Host]]:
    torch.manual_seed(0)
    built: Host = request.param
    yield as_trained(built.build()).eval(), built.example(), built


@torch.no_grad()
def as_trained(model: nn.Module) -> nn.Module:
    """As training leaves a model: nothing is constant, no scale zero and no head empty."""
    for parameter in model.parameters():
        if parameter.numel() and parameter.min() == parameter.max():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def run(model: nn.Module, example: Any) -> list[Tensor]:
    """All tensors that the model gives."""
    with torch.no_grad():
        torch.manual_seed(1)  # detectors shuffle
        output = model(**example) if isinstance(example, dict) else model(example)
    plain = dict(output) if isinstance(output, dict) else output
    return [leaf for leaf in tree_leaves(plain) if isinstance(leaf, Tensor)]


def loss_of(model: nn.Module, example: Any, host: Host) -> Tensor:
    if host.targets is not None:
        return torch.stack(list(model(example, host.targets()).values())).sum()
    output = model(**example) if isinstance(example, dict) else model(example)
    plain = dict(output) if isinstance(output, dict) else output
    return sum(leaf.float().square().mean() for leaf in tree_leaves(plain))  # type: ignore


def same(found: list[Tensor], wanted: list[Tensor], tolerance: float = 1e-5) -> bool:
    assert len(found) == len(wanted) > 0
    return all(
        f.shape == w.shape
        and (not w.numel() or (f - w).abs().max() <= tolerance * w.abs().max().clamp(min=1))
        for f, w in zip(found, wanted, strict=True)
    )


def test_every_mechanism_goes_in_unmoved_learns_and_comes_out(
    host: tuple[nn.Module, Any, Host], tmp_path: Path
) -> None:
    model, example, facts = host
    fresh, before = pickle.dumps(model), run(model, example)
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    classes = [type(module) for module in model.modules()]
    for name in facts.mechanisms:
        own = None if name in IN_PLACE else facts.at
        zoo.add_attention(model, name, at=own, example=example)
        assert same(run(model, example), before)

        copied = copy.deepcopy(model)
        learn(copied, example, facts)
        assert not same(run(copied, example), before, 1e-9)
        model.load_state_dict(copied.state_dict())
        assert same(run(model, example), run(copied, example), 1e-6)
        zoo.save_attention(copied, tmp_path / "added.safetensors")

        zoo.remove_attention(model)
        assert [type(module) for module in model.modules()] == classes
        assert list(model.state_dict()) == list(state)
        assert all(torch.equal(tensor, state[key]) for key, tensor in model.state_dict().items())
        assert all(map(torch.equal, run(model, example), before))
    loads(pickle.loads(fresh), copied, tmp_path / "added.safetensors", example)


def learn(model: nn.Module, example: Any, facts: Host) -> None:
    """Two steps of the attention alone: all of it gets a gradient, some of it moves."""
    parameters = zoo.attention_parameters(model)
    start = [parameter.detach().clone() for parameter in parameters]
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    model.train()
    for module in model.modules():  # the host itself stands still
        if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.Dropout):
            module.eval()
    for _ in range(2):
        optimizer.zero_grad()
        loss_of(model, example, facts).backward()
        assert all(parameter.grad is not None for parameter in parameters)
        optimizer.step()
    model.eval()
    assert not all(map(torch.equal, start, parameters))


def loads(model: nn.Module, trained: nn.Module, path: Path, example: Any) -> None:
    """A fresh host with the file computes what the one that was trained does."""
    zoo.load_attention(model, path, strict=True)
    assert same(run(model, example), run(trained, example), 1e-6)
    assert pickle.loads(pickle.dumps(model.state_dict())).keys() == trained.state_dict().keys()


@pytest.mark.parametrize("name", ["own_resnet", "torchvision_vit", "timm_resnet"])
def test_a_model_with_attention_is_pickled_whole(name: str) -> None:
    model, example = SMALL[name].build().eval(), SMALL[name].example()
    zoo.add_attention(model, "se", at=SMALL[name].at, example=example)
    again = pickle.loads(pickle.dumps(model))
    assert all(map(torch.equal, run(again, example), run(model, example)))
    zoo.remove_attention(again)
    assert [type(m) for m in again.modules()] == [type(m) for m in SMALL[name].build().modules()]


def test_a_module_whose_class_was_changed_already_is_pickled_too() -> None:
    model, x = zoo.create_attention("cbam", 16).eval(), torch.rand(2, 16, 8, 8)
    zoo.add_attention(model, "se", at="", example=x)
    again = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    assert torch.equal(again(x), model(x)) and type(again) is type(model)
    with pytest.raises(zoo.errors.UsageError, match="8 channels"):
        again(torch.rand(2, 8, 8, 8))


def test_video_is_refused() -> None:
    models = pytest.importorskip("torchvision.models")
    model = models.video.r3d_18(weights=None)
    with pytest.raises(zoo.errors.IncompatibleBackboneError, match="video or volumes"):
        zoo.add_attention(model, "se", at="layer4", example=torch.rand(1, 3, 4, 32, 32))
