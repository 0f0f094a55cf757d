"""`list_sites`: where in a model attention can go, and what it would cost there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import nn

from zoo.errors import ZooError
from zoo.hosts.check import check_host, check_module
from zoo.hosts.planning import softmax
from zoo.hosts.planning.building import Mechanism
from zoo.hosts.reading import families
from zoo.hosts.reading.layouts import Layout
from zoo.hosts.reading.survey import Survey, known_example
from zoo.hosts.reading.where import Told, layout_of
from zoo.hosts.swap import RECORD, forms_of
from zoo.insertion.families import blocks as timm_blocks
from zoo.insertion.layers import is_leaf
from zoo.registry import Registry, default_registry, names
from zoo.runtime.multiplications import count_macs


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A module of a model whose output an attention can attend to.

    Attributes:
        path: what `at=` takes. module: its class.
        layout: `nchw`, `nhwc` or `tokens`; channels: C.
        size: (H, W) of the map or the grid; None for tokens without a grid. positions: how many.
        stride: rows of the image for a row of the map; None where there is no image.
        shape: of the output for the example.
        calls: how often it runs for one input.
        block: whether it is a block of a known family, a default place.
        replaces: `convolution` or `softmax` for a mechanism that replaces one, else "".
        added: names of the attention that is there already.
        costs: for each mechanism that was asked for, `parameters` and `multiplications` (of one
            forward pass on this shape), or None where it cannot go.
    """

    path: str
    module: str
    layout: str
    channels: int
    size: tuple[int, int] | None
    positions: int
    stride: float | None
    shape: tuple[int, ...]
    calls: int
    block: bool
    replaces: str = ""
    added: tuple[str, ...] = ()
    costs: dict[str, dict[str, int] | None] = field(default_factory=dict[str, Any])


def list_sites(
    model: nn.Module,
    example: Any = None,
    *,
    costs: Sequence[str] = (),
    leaves: bool = False,
    registry: Registry | None = None,
) -> list[Site]:
    """Where in a model attention can go: every module that gives a map or tokens.

    The model is run on tensors without data, so nothing is computed and nothing of it changes.

    Args:
        model: any `torch.nn.Module`.
        example: one input, as `add_attention` takes it.
        costs: names of mechanisms that refine a map or tokens, to say what each would cost.
        leaves: list single layers too (convolutions, activations), not only what is made of them.

    Raises:
        IncompatibleBackboneError: the model cannot be run on the example, or is compiled.
        UnknownNameError: of a mechanism.
    """
    check_host(model)
    registry = registry or default_registry()
    survey = Survey(model, known_example(model) if example is None else example)
    survey.check()
    mechanisms = [
        Mechanism(spec=names.attention(n, registry), registry=registry, options={}, form=None)
        for n in costs
    ]
    blocks = {*families.blocks(model), *(path for path, _, _ in timm_blocks(model))}
    found = (_site(survey, path, path in blocks, mechanisms) for path in _paths(survey, leaves))
    return [site for site in found if site is not None]


def _paths(survey: Survey, leaves: bool) -> list[str]:
    added = [path for path, module in survey.modules.items() if RECORD in vars(module)]
    chosen = [
        path
        for path, module in survey.modules.items()
        if survey.outputs(path)
        and (leaves or not is_leaf(module) or softmax.kind_of(module))
        and not any(path == a or path.startswith(f"{a}.") for a in added)
    ]
    return chosen


def _site(survey: Survey, path: str, block: bool, mechanisms: Sequence[Mechanism]) -> Site | None:
    module = survey.modules[path]
    try:
        check_module(survey.model, path)
        found, layout = layout_of(survey, path, Told(), on_map=False)
    except ZooError:
        return None
    size, shape = layout.size(found.shape), found.shape
    channels = layout.channels(shape)
    positions = prod(shape[1:]) // channels - layout.prefix
    image = survey.example.image
    replaces = "convolution" if isinstance(module, nn.Conv2d) else ""
    return Site(
        path=path, module=type(module).__name__, layout=layout.kind, channels=channels, size=size,
        positions=positions, stride=image[-2] / size[0] if image and size else None, shape=shape,
        calls=len(survey.outputs(path)), block=block, added=forms_of(module),
        replaces="softmax" if softmax.kind_of(module) else replaces,
        costs={m.spec.name: _cost(m, channels, layout, shape) for m in mechanisms},
    )  # fmt: skip


def _cost(
    mechanism: Mechanism, channels: int, layout: Layout, shape: tuple[int, ...]
) -> dict[str, int] | None:
    """Counted in one forward pass without data; None where the mechanism cannot go."""
    spec, size = mechanism.spec, layout.size(shape)
    if spec.insertion.role != "refine" or (spec.insertion.needs_size and size is None):
        return None
    try:
        mechanism.check()
        with torch.random.fork_rng(devices=[]), torch.device("meta"), torch.no_grad():
            more = {"feat_size": size} if spec.insertion.needs_size else {}
            module = mechanism.build("", channels, mechanism.keywords(more)).eval()
            on = layout.on_tokens if mechanism.on_tokens else layout.on_map
            macs, _ = count_macs(lambda: on(module, torch.empty(shape)))
    except (ZooError, RuntimeError, NotImplementedError):
        return None
    parameters = sum(p.numel() for p in module.parameters())
    return {"parameters": parameters, "multiplications": macs}
