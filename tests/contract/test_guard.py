"""What is wrong with an input is said at the call, by one error of the zoo's own."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest
import torch
from torch import nn

import zoo
from zoo.build.guard import RANKS
from zoo.errors import UsageError
from zoo.registry import default_registry
from zoo.registry.specs import AttentionSpec
from zoo.registry.targets import resolve
from zoo.testing.trial import MAPS, sample

CHANNELS = 64
CHANNEL_NAMES = {"channels", "in_channels", "out_channels", "dim", "device", "dtype"}
GUARDED = [s for s in default_registry().attentions.values() if s.contract in RANKS]
PLAIN = [s for s in GUARDED if not s.trial.example]
by_name = pytest.mark.parametrize("spec", PLAIN, ids=lambda spec: spec.name)
WRONG: dict[str, Any] = {
    "a vector": torch.randn(2, CHANNELS),
    "other channels": torch.randn(2, CHANNELS // 2, 8, 8),
    "other channels of tokens": torch.randn(2, CHANNELS, CHANNELS // 2),
    "whole numbers": torch.ones(2, CHANNELS, 8, 8, dtype=torch.uint8),
    "nothing": torch.randn(2, CHANNELS, 0, 8),
    "a list": [1.0],
}


def made(spec: AttentionSpec, size: tuple[int, int] = (8, 8)) -> nn.Module:
    options = {"feat_size": size} if spec.insertion.needs_size else {}
    torch.manual_seed(0)
    return zoo.create_attention(spec.name, CHANNELS, **options).eval()


@by_name
def test_a_wrong_input_is_refused_by_name(spec: AttentionSpec) -> None:
    module = made(spec)
    for given in WRONG.values():
        with pytest.raises(UsageError, match=f"^{spec.name} was given") as caught:
            module(given)
        assert f"C = {CHANNELS}" in str(caught.value)


@by_name
def test_an_option_of_no_sense_is_refused_or_harmless(spec: AttentionSpec) -> None:
    fixed = {"feat_size": (4, 4)} if spec.insertion.needs_size else {}
    inputs = sample(spec, batch=1, size=(4, 4))
    target = resolve(spec.target, default_registry().owner(spec))
    for name in inspect.signature(target).parameters.keys() - CHANNEL_NAMES:
        for value in (float("nan"), -1, "nonsense"):
            try:
                module = zoo.create_attention(spec.name, CHANNELS, **{**fixed, name: value})
                y = module.eval()(*inputs)
            except zoo.ZooError:
                continue
            assert bool(y.isfinite().all()), f"{name}={value!r}"


@by_name
def test_a_map_of_one_position_gives_a_map_or_an_error_of_the_zoo(spec: AttentionSpec) -> None:
    if spec.contract not in MAPS:
        pytest.skip("takes no maps")
    x = torch.randn(2, CHANNELS, 1, 1)
    try:
        y = made(spec, (1, 1))(x)
    except zoo.ZooError:
        return
    assert y.shape == x.shape and bool(y.isfinite().all())


def test_the_message_says_what_was_given_and_what_is_expected() -> None:
    with pytest.raises(UsageError) as caught:
        zoo.create_attention("se", 64)(torch.randn(2, 64))
    assert str(caught.value) == (
        "se was given an input of 2 dimensions, (2, 64)\n"
        "  where: attention 'se', contract 'map'\n"
        "  try:   a floating-point tensor (B, C, H, W), C = 64"
    )


def test_channels_of_the_input_are_expected_where_they_differ_from_the_outputs() -> None:
    module = zoo.create_attention("split_attention", 32, in_channels=16).eval()
    assert module(torch.randn(1, 16, 4, 4)).shape == (1, 32, 4, 4)
    with pytest.raises(UsageError, match="32 channels"):
        module(torch.randn(1, 32, 4, 4))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", ["se", "cbam", "non_local"])
def test_it_stands_in_no_ones_way(name: str) -> None:
    module = made(default_registry().attentions[name])
    x = sample(default_registry().attentions[name])[0]
    expected = module(x)
    plain = resolve(default_registry().attentions[name].target, "")
    assert isinstance(module, plain) and type(module).__name__ == plain.__name__
    forms = (
        torch.jit.script(module),
        torch.jit.trace(module, x),
        torch.export.export(module, (x,)).module(),
        torch.compile(module, backend="eager", fullgraph=True),
        pickle.loads(pickle.dumps(module)),
        copy.deepcopy(module),
        nn.Sequential(module),
    )
    for form in forms:
        torch.testing.assert_close(form(x), expected)
    for form in forms[4:]:
        with pytest.raises(UsageError, match="other|channels"):
            form(x[:, :3])
