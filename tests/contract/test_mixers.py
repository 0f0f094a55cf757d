"""Any token mixer in a vision transformer of timm's, started so that no logit moves."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import timm
import torch
from torch import nn

import zoo
from zoo.build.attention import build_attention
from zoo.errors import IncompatibleBackboneError
from zoo.insertion import Target, insert
from zoo.insertion.mixers import on_tokens
from zoo.registry import default_registry
from zoo.registry.catalogue import goes_into_backbones
from zoo.registry.constructor import option_names
from zoo.registry.specs import AttentionSpec
from zoo.registry.targets import resolve

MIXERS = [
    s
    for s in default_registry().attentions.values()
    if s.insertion.role == "replace_mixer" and goes_into_backbones(s)
]
ON_PATCHES = [s for s in default_registry().attentions.values() if s.insertion.folds_tokens]
SMALL = {"img_size": 64, "depth": 2, "num_classes": 5}
GRID = {"class_token": False, "global_pool": "avg"}
by_name = pytest.mark.parametrize("spec", [*MIXERS, *ON_PATCHES], ids=lambda spec: spec.name)


def options(spec: AttentionSpec) -> dict[str, object]:
    """A mixer that needs a grid of tokens cannot have a class token beside it."""
    tied = spec.insertion.needs_size or spec.insertion.folds_tokens
    return {**SMALL, **(GRID if tied else {})}


@by_name
def test_takes_the_place_of_the_attention(spec: AttentionSpec) -> None:
    model = zoo.create_model(f"{spec.name}_vit_tiny_patch16_224", **options(spec))
    assert model.zoo.sites == ["blocks.0.attn", "blocks.1.attn"]
    assert not any(
        "blocks.0.attn.qkv" in key for key in model.state_dict() if ".attn.attn." not in key
    )
    x = torch.randn(3, 3, 64, 64)
    model(x).sum().backward()
    alone, whole = model.eval()(x[:1]), model(x)
    torch.testing.assert_close(alone, whole[:1], rtol=1e-4, atol=1e-5)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(copied(x), whole)


@by_name
def test_a_warm_start_moves_no_logit_and_learns(spec: AttentionSpec) -> None:
    model = timm.create_model("vit_tiny_patch16_224", **options(spec)).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = model(x)
        sites = _insert(model, spec)
        torch.testing.assert_close(model.eval()(x), expected, rtol=1e-4, atol=1e-5)
    mixer = model.get_submodule(sites[0])
    before = {name: p.detach().clone() for name, p in mixer.named_parameters()}
    optimizer = torch.optim.SGD(model.train().parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), torch.tensor([1, 3])).backward()
        optimizer.step()
    own = [n for n in before if spec.insertion.identity == "exact" or n.startswith("attn.")]
    assert any(not torch.equal(mixer.get_parameter(name), before[name]) for name in own)


def _insert(model: nn.Module, spec: AttentionSpec) -> list[str]:
    spec = on_tokens(spec, resolve(spec.target, "tests"), model)

    def build(channels: int, **more: Any) -> nn.Module:
        accepted = option_names(resolve(spec.target, "tests"))
        given = {k: v for k, v in more.items() if k in accepted}
        return build_attention(spec, default_registry(), channels, given)

    target = Target(model=model, name="vit_tiny_patch16_224", img_size=(64, 64), in_chans=3)
    return insert(target, spec, build, insertion=spec.insertion.identity)


def test_patches_are_the_map_and_other_grids_are_refused() -> None:
    model: Any = zoo.create_model("neighborhood_vit_tiny_patch16_224", **SMALL, **GRID).eval()
    x, mixer = torch.randn(2, 16, 192), model.blocks[0].attn
    on_map = mixer.attn.attn(x.transpose(1, 2).unflatten(2, (4, 4)))
    torch.testing.assert_close(mixer(x), on_map.flatten(2).transpose(1, 2))
    with pytest.raises(IncompatibleBackboneError, match="4 x 4"):
        model.set_input_size((96, 96))
    with pytest.raises(IncompatibleBackboneError, match="class_token=False"):
        zoo.create_model("neighborhood_vit_tiny_patch16_224", **SMALL)


def test_where_there_is_no_such_attention() -> None:
    for backbone in ("resnet18", "swin_tiny_patch4_window7_224"):
        with pytest.raises(IncompatibleBackboneError, match="softmax attention"):
            zoo.create_model(f"external_multihead_{backbone}")


def test_chosen_blocks_only() -> None:
    model = zoo.create_model("external_multihead_vit_tiny_patch16_224", sites=["blocks.1"], **SMALL)
    assert model.zoo.sites == ["blocks.1.attn"]
    assert isinstance(model.blocks[0].attn, timm.layers.Attention)
