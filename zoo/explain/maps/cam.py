"""Which positions a score rests on: Grad-CAM (Selvaraju et al., ICCV 2017, arXiv 1610.02391).

    w_k = mean_hw d s_c / d f_k,        A = relu(sum_k w_k f_k)              section 3, eq. 1 and 2

f (C, h, w) is the output of a layer, s_c the score of a class before the softmax. Tokens are the
map that they are of. The score of a segmentation is that of Seg-Grad-CAM (Vinogradova et al., AAAI
2020, arXiv 2002.11434): the sum over the positions that are given the class.

What the map shows can be tested: guided attention inference (Li et al., CVPR 2018, arXiv
1802.10171, section 3.1) takes it out of the image I and looks again,

    T(A) = sigmoid(omega (A' - sigma)),   A' = (A - min A) / (max A - min A),   I* = I - T(A) I

and a class whose evidence was found is not seen any more. A is at the size of the image there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice, takewhile
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import IncompatibleBackboneError, ZooError
from zoo.hosts.places import named
from zoo.hosts.reading.layouts import Layout
from zoo.hosts.reading.outputs import Found, put, take
from zoo.hosts.reading.survey import Survey
from zoo.hosts.reading.where import Told, layout_of
from zoo.insertion.layers import is_leaf, is_norm

OMEGA, SIGMA = 10.0, 0.5  # of the soft threshold, as in the unofficial port of GAIN
MOST = 24  # layers that are tried: in the last block of a transformer, most give patches nothing
LEAST = 1e-9  # of a score: what is less is rounding
FEW = 3  # layers of each size that are tried, where the output has a class for each position
BACKBONES = ("backbone", "encoder")  # what hosts of several parts call the first of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer that a map can be made at: its path, its tensor in the output, and how that lies."""

    path: str
    found: Found
    layout: Layout

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of its map."""
        size = self.layout.size(self.found.shape)
        assert size is not None
        return size


@dataclass(frozen=True, slots=True, kw_only=True)
class Cam:
    """The map of one class at one layer: `values` (h, w), and the score's `weights` (C,)."""

    path: str
    values: Tensor
    weights: Tensor


def layers_by_default(survey: Survey, *, dense: bool, without: Set[str]) -> list[Layer]:
    """Where a map is made unless somebody says where: the first of these that the score needs.

    They are the maps of the last size of the network, from the last backwards: those that blocks
    and norms give. With a `dense` output (a class for each position, or boxes) they are those of
    what the model calls its backbone or encoder, the smallest first.

    Args:
        without: paths that are left out, as of what was put into the model.
    """
    head = (getattr(survey.model, "pretrained_cfg", None) or {}).get("classifier")
    heads = (head,) if isinstance(head, str) else tuple(head or ())
    ran = dict.fromkeys(call.path for call in reversed(survey.run.calls) if call.path)
    paths = [p for p in ran if not any(p == h or p.startswith(f"{h}.") for h in heads)]
    paths = [p for p in paths if p not in without]
    if dense:
        first_part = {*BACKBONES, getattr(survey.model, "base_model_prefix", "")}
        paths = [p for p in paths if first_part & set(p.split(".")[:2])] or paths
    layers = (each for path in paths if (each := _candidate(survey, path)) is not None)
    if dense:
        by_size = sorted(layers, key=_area)  # of one size, the last remains the first
        groups = (list(group) for _, group in groupby(by_size, _area))
        return [each for group in groups for each in group[:FEW]]
    first = next(layers, None)
    if first is None:
        return []
    alike = takewhile(lambda each: _area(each) == _area(first), layers)
    return [first, *islice(alike, MOST)]


def _area(layer: Layer) -> int:
    return layer.size[0] * layer.size[1]


def layers_at(survey: Survey, at: Sequence[str]) -> list[Layer]:
    """The layers that paths and patterns name.

    Raises:
        UsageError: one names nothing. IncompatibleBackboneError: one gives no map.
    """
    return [_layer(survey, path) for path in named(survey.model, list(at))]


def cams(
    model: nn.Module,
    run: Callable[[Tensor], Any],
    x: Tensor,
    score: Callable[[Any], Tensor],
    layers: Sequence[Layer],
) -> list[Cam | None]:
    """The map at each layer; None where nothing of the score goes through its positions.

    Parameters get no gradient.

    Args:
        run: from x to the model's output. score: from that to a scalar.
    """
    kept: dict[str, Tensor] = {}
    hooks = [
        model.get_submodule(each.path).register_forward_hook(partial(_keep, each, kept))
        for each in layers
    ]
    try:
        with torch.inference_mode(False), torch.enable_grad():
            value = score(run(x.clone().requires_grad_()))
    finally:
        for hook in hooks:
            hook.remove()
    tensors = [kept[each.path] for each in layers]
    if not value.requires_grad:
        return [None] * len(layers)
    gradients = torch.autograd.grad(value, tensors, allow_unused=True)
    least = LEAST * abs(float(value.detach()))
    return [_cam(*row, least) for row in zip(layers, tensors, gradients, strict=True)]


def _keep(layer: Layer, kept: dict[str, Tensor], _module: Any, _inputs: Any, output: Any) -> Any:
    """Keep f, and hand a copy on: what follows may write to it, as an in-place ReLU does."""
    kept[layer.path] = take(output, layer.found.way)
    return put(output, layer.found.way, kept[layer.path].clone())


def soft_mask(values: Tensor, size: tuple[int, int]) -> Tensor:
    """T(A) of (h, w), from 0 to 1, at the size of the input."""
    grown = F.interpolate(values[None, None].float(), size, mode="bilinear", align_corners=False)
    low, high = grown.aminmax()
    share = (grown - low) / torch.where(high > low, high - low, torch.ones_like(high))
    return torch.sigmoid(OMEGA * (share[0, 0] - SIGMA))


def _cam(layer: Layer, tensor: Tensor, gradient: Tensor | None, least: float) -> Cam | None:
    """None where the gradient is nothing, or so little that all of f moves the score by `least`."""
    if gradient is None:
        return None
    f, g = (_as_map(layer, t.detach().float()) for t in (tensor, gradient))
    if float((f * g).abs().sum()) <= least or not bool(g.any()):
        return None
    weights = g.mean((1, 2))
    values = torch.relu(torch.einsum("c,chw->hw", weights, f))
    return Cam(path=layer.path, values=values.cpu(), weights=weights.cpu())


def _as_map(layer: Layer, tensor: Tensor) -> Tensor:
    """(C, h, w) of one image."""
    if layer.layout.kind == "nchw":
        return tensor[0]
    if layer.layout.kind == "nhwc":
        return tensor[0].permute(2, 0, 1)
    return tensor[0, layer.layout.prefix :].T.unflatten(1, layer.size)


def _candidate(survey: Survey, path: str) -> Layer | None:
    module = survey.modules[path]
    if is_leaf(module) and not is_norm(module):
        return None
    try:
        layer = _layer(survey, path)
    except ZooError:
        return None
    return layer if min(layer.size) > 1 or max(layer.size) > 2 else None


def _layer(survey: Survey, path: str) -> Layer:
    prefix = getattr(survey.model, "num_prefix_tokens", None)  # timm's transformers
    told = Told(prefix_tokens=prefix if isinstance(prefix, int) else None)
    found, layout = layout_of(survey, path, told)
    layer = Layer(path=path, found=found, layout=layout)
    if found.shape[0] != 1:
        raise IncompatibleBackboneError(
            f"{path} gives {found.shape}: parts of the image, or several images",
            where="at",
            remedy="a layer whose output is one map of the whole image",
        )
    return layer
