"""The check of a warm start: what a trained network knows survives the first steps of training.

Attention that is inserted moves no output. But its gradients may be so steep that a few steps
undo the network, or so dead that they never move it. Here a small trained network takes fifty steps
of AdamW and of SGD, with the attention and without.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import cache
from itertools import islice
from typing import Any, TypeAlias
from unittest import SkipTest

import torch
from torch import nn

from zoo.build.attention import build_attention
from zoo.insertion import Target, insert
from zoo.insertion.mixers import heard
from zoo.registry import default_registry
from zoo.registry.constructor import option_names
from zoo.registry.specs import MAPS, AttentionSpec
from zoo.registry.targets import resolve
from zoo.testing.learning import is_dead
from zoo.testing.trained_networks import SIZE, accuracy, fit, images, trained
from zoo.testing.trial import Attention, conformance, require, spec_of

STEPS = 50
STEEP = 1.3  # times the norm of the plain network's gradient
LOST = 5.0  # points of accuracy below the plain network's
ADAPTIVE = "AdamW at 1e-3"
ALIVE = 'an attention that is built as the identity says identity="exact"'
Optimiser: TypeAlias = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
OPTIMISERS: dict[str, Optimiser] = {
    ADAPTIVE: lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0),
    "SGD at 0.01": lambda p: torch.optim.SGD(p, lr=0.01),
}
REMEDY = 'a smaller gain where the attention starts, or Insertion(default_form="residual")'


@conformance
def check_warm_start(attention: Attention) -> None:
    """In a trained network, in its default form: the norm of the whole gradient at step 0 is at
    most 1.3 times the plain network's; after fifty steps, of AdamW at 1e-3 and of SGD at 0.01, the
    accuracy is at most 5 points below that of the plain network after the same batches; and AdamW
    has moved every parameter, but for `dead_parameters`. (SGD may move one by less than its
    rounding.)

    The networks are two convolutional ones and a transformer, trained on drawn images when they are
    first used. `docs/warm-starts.md` has the same of real networks.
    """
    spec = spec_of(attention)
    if spec.insertion.role == "none" or spec.contract not in (*MAPS, "tokens"):
        raise SkipTest(f"{spec.name} does not go into a backbone")
    model, role = _attended(spec), spec.insertion.role
    steep = _norm(copy.deepcopy(model), role) / _plain_norm(role)
    form = f"in its default form, {spec.insertion.warm_form}"
    what = f"{form}, the gradient at step 0 is {steep:.1f} times the plain network's: {REMEDY}"
    require(steep <= STEEP, spec, what)
    for name in OPTIMISERS:
        tuned, kept = _tune(copy.deepcopy(model), role, name)
        lost = _plain_accuracy(role, name) - kept
        what = f"{form}, {STEPS} steps of {name} cost {lost:.0f} points of accuracy: {REMEDY}"
        require(lost <= LOST, spec, what)
        still = _still(spec, model, tuned) if name == ADAPTIVE else []
        what = f"{form}, {STEPS} steps of {name} do not move {', '.join(still[:3])}: {ALIVE}"
        require(not still, spec, what)


def _attended(spec: AttentionSpec) -> nn.Module:
    """The trained network of the attention's role, with the attention at both places."""
    model = copy.deepcopy(trained(spec.insertion.role))
    accepted = option_names(resolve(spec.target, default_registry().owner(spec)))

    def build(channels: int, **more: Any) -> nn.Module:
        return build_attention(spec, default_registry(), channels, heard(more, accepted))

    target = Target(model=model, name="a small network", img_size=SIZE, in_chans=3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        insert(target, spec, build, sites="blocks", insertion=spec.insertion.warm_form)
    return model


def _norm(model: nn.Module, role: str) -> float:
    """Of the gradient of all parameters, over four batches."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for x, labels in islice(images(role, 2), 4):
            nn.functional.cross_entropy(model.train()(x), labels).backward()
    return (
        torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm().item()
    )


def _tune(model: nn.Module, role: str, optimiser: str) -> tuple[nn.Module, float]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fit(model, OPTIMISERS[optimiser](model.parameters()), images(role, 2), STEPS)
        return model, accuracy(model, role)


@cache
def _plain_norm(role: str) -> float:
    return _norm(copy.deepcopy(trained(role)), role)


@cache
def _plain_accuracy(role: str, optimiser: str) -> float:
    return _tune(copy.deepcopy(trained(role)), role, optimiser)[1]


def _still(spec: AttentionSpec, before: nn.Module, after: nn.Module) -> list[str]:
    """The parameters of the attention that are where they were, but for dead ones."""
    own = before.state_dict().keys() - trained(spec.insertion.role).state_dict().keys()
    pairs = zip(before.named_parameters(), after.parameters(), strict=True)
    same = [name for (name, start), end in pairs if name in own and torch.equal(start, end)]
    return [name for name in same if not is_dead(spec, name)]


WARM_START = (check_warm_start,)
