"""From the port of DRAM (tianyu-tristan/Visual-Attention-Model, MIT) to ours.

Its locations are (y, x), ours (x, y). Its checkpoints are TensorFlow's: one LSTM matrix with the
gates i, j, f, o and 1 added to f at run time, and maps flattened with the channels last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from zoo.sdk.map_size import size_pair
from zoo.sdk.options import agree, refuse
from zoo_plugins.networks.dram.dram import DeepRecurrentAttention
from zoo_plugins.networks.dram.glimpse import LOST

MODULES = {
    "glimpse.conv1": "glimpse.what.conv1",
    "glimpse.conv2": "glimpse.what.conv2",
    "glimpse.conv3": "glimpse.what.conv3",
    "glimpse.dense": "glimpse.what.dense",
    "loc_dense": "glimpse.where",
    "glimpse_loc": "glimpse.where",
    "context.conv1": "readers.0.context.conv1",
    "context.conv2": "readers.0.context.conv2",
    "context.conv3": "readers.0.context.conv3",
    "context.dense": "readers.0.context.dense",
    "emission": "readers.0.emission.mean",
    "classify": "readers.0.classifier",
    "baseline": "readers.0.baseline",
}
Size = int | Sequence[int]


def _read_config(
    size: Size,
    /,
    *,
    img_size: Size | None = None,
    image_size: Size | None = None,
    height: int | None = None,
    width: int | None = None,
    channels: int | None = None,
    in_chans: int | None = None,
    patch_size: int | None = None,
    win_size: int | None = None,
    num_scales: int | None = None,
    scales: int | None = None,
    glimpses_per_target: int | None = None,
    num_glimpses: int | None = None,
    num_targets: int | None = None,
    max_num_digits: int | None = None,
    std: float | None = None,
    loc_std: float | None = None,
    variant: str | None = None,
    wiring: str | None = None,
    context_size: Size | None = None,
    read: str | None = None,
) -> dict[str, Any]:
    """The port's settings as keywords of `DeepRecurrentAttention`; two names of one must agree.

    The names of the port alone (`win_size`, `scales`, `max_num_digits`, `loc_std`, `height`) ask
    for its wiring: then the context network sees the whole image, and a target is the mean over
    its glimpses.

    Args:
        size: of the model's images, where no setting states one.
    """
    digits = None if max_num_digits is None else (max_num_digits, max_num_digits + 1)
    ports = (win_size, scales, max_num_digits, loc_std, height, width)
    found = {
        "img_size": _image_size(img_size, image_size, height, width),
        "in_chans": agree("dram", in_chans=in_chans, channels=channels),
        "patch_size": agree("dram", patch_size=patch_size, win_size=win_size),
        "num_scales": agree("dram", num_scales=num_scales, scales=scales),
        "glimpses_per_target": agree(
            "dram", glimpses_per_target=glimpses_per_target, num_glimpses=num_glimpses
        ),
        "num_targets": agree("dram", num_targets=num_targets, max_num_digits=digits),
        "std": agree("dram", std=std, loc_std=loc_std),
        "wiring": agree("dram", wiring=wiring, variant=variant),
        "context_size": context_size,
        "read": read,
    }
    if found["wiring"] is None and any(value is not None for value in ports):
        found["wiring"] = "port"
    found = {name: value for name, value in found.items() if value is not None}
    if found.get("wiring") == "port":
        found = {"context_size": found.get("img_size", size), "read": "mean", **found}
    return found


read_house_number_config = partial(_read_config, 54)
read_canvas_config = partial(_read_config, 100)


def read_core(options: Mapping[str, Any]) -> dict[str, Any]:
    """The same for `dram_core`, which is built for no size of image but the port's."""
    settings = signature(read_house_number_config).parameters.keys() & options.keys()
    rest = {name: value for name, value in options.items() if name not in settings}
    found = read_house_number_config(**{name: options[name] for name in settings})
    return {**rest, **{name: value for name, value in found.items() if name != "img_size"}}


def _image_size(
    img_size: Size | None, image_size: Size | None, height: int | None, width: int | None
) -> Size | None:
    if (height is None) != (width is None):
        refuse("dram", "one of height and width is missing", "image_size=(height, width)")
    both = None if height is None or width is None else (height, width)
    sizes = {"img_size": img_size, "image_size": image_size, "height and width": both}
    given = {k: (v, size_pair("dram", k, v)) for k, v in sizes.items() if v is not None}
    return agree("dram", **given)


def authors_core(
    module: DeepRecurrentAttention, image: Tensor, noise: Tensor, patches: Tensor | None = None
) -> dict[str, Tensor]:
    """A case of `dram_core`: everything of one rollout, locations as (y, x)."""
    episode = module.rollout(image, noise.flip(-1), patches=patches)
    return {
        "glimpse": episode.glimpse,
        "r1": episode.r1,
        "r2": episode.r2,
        "location_mean": episode.location_mean.flip(-1),
        "location": episode.location.flip(-1),
        "log_pi": episode.log_pi,
        "log_probs": episode.log_probs,
        "baseline": module.reader().expected(episode.r2),
        "patch": torch.stack([module.glimpse.retina(image, at) for at in episode.location]),
        "digit_log_probs": module.at_targets(episode.log_probs),
        "context": episode.context,
    }


def authors_prediction(module: DeepRecurrentAttention, x: Tensor) -> Tensor:
    """An entry of `models.json`: one pass of the mean policy, (B, L, K)."""
    return module.at_targets(module.rollout(x).log_probs)


def from_authors(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The port's state dict under our names, from TensorFlow's layout where it has that."""
    tensorflow = "r1.weight" in state
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name, _, leaf = key.rpartition(".")
        if name in ("r1", "r2"):
            continue
        if name in ("glimpse.dense", "context.dense") and leaf == "weight" and tensorflow:
            tensor = _channels_first(tensor, name, module)
        if name == "emission":
            tensor = tensor.flip(0)
        if name in ("loc_dense", "glimpse_loc") and leaf == "weight":
            tensor = tensor.flip(1)
        found[f"{MODULES.get(name, name)}.{leaf}"] = tensor
    for name in ("r1", "r2"):
        cell = _tensorflow_cell(state, name) if tensorflow else _torch_cell(state, name)
        found |= {f"readers.0.{name}.{key}": tensor for key, tensor in cell.items()}
    return found


def _channels_first(weight: Tensor, name: str, module: nn.Module) -> Tensor:
    """A linear layer on a map that was flattened with the channels last."""
    assert isinstance(module, DeepRecurrentAttention)
    glimpse = name == "glimpse.dense"
    height, width = module.glimpse.patch_shape[1:] if glimpse else module.reader().context_size
    shape = (height - LOST, width - LOST, -1)
    return weight.unflatten(1, shape).permute(0, 3, 1, 2).flatten(1)


def _torch_cell(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {
        "input.weight": state[f"{name}.weight_ih"],
        "input.bias": state[f"{name}.bias_ih"] + state[f"{name}.bias_hh"],
        "hidden.weight": state[f"{name}.weight_hh"],
    }


def _tensorflow_cell(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    weight, bias = (_gates(state[f"{name}.{leaf}"]) for leaf in ("weight", "bias"))
    units = len(bias) // 4
    bias = bias.clone()
    bias[units : 2 * units] += 1
    return {
        "input.weight": weight[:, : weight.shape[1] - units],
        "input.bias": bias,
        "hidden.weight": weight[:, weight.shape[1] - units :],
    }


def _gates(tensor: Tensor) -> Tensor:
    """i, j, f, o -> i, f, j, o."""
    i, j, f, o = tensor.chunk(4)
    return torch.cat((i, f, j, o))


def example(
    channels: int, batch: int, generator: torch.Generator
) -> tuple[dict[str, Any], tuple[Tensor, ...]]:
    """A small model and images for it."""
    options = {
        "in_chans": 2, "patch_size": 9, "filters": (4, 4, 4), "glimpse_dim": 12, "cell_size": 8,
        "num_classes": 3, "num_targets": 2, "glimpses_per_target": 2,
    }  # fmt: skip
    return options, (torch.rand(batch, 2, 24, 24, generator=generator),)
