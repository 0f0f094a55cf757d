"""Carrying the checkpoints of FcaNet's authors over (cfzd/FcaNet)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from zoo.errors import WeightsMismatchError
from zoo.weights.keymaps import rename
from zoo_plugins.networks.convnets.configs import FCA_KEYS

BASIS = "dct_layer.weight"


def from_authors(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The authors' state dict under our names.

    Their DCT images, one a channel, are ours, one a group of channels: they are compared and left
    out, so that a network of other frequencies is not taken for this one.

    Raises:
        WeightsMismatchError: the frequencies or the sizes of the images differ.
    """
    for key, images in state.items():
        if key.endswith(f".{BASIS}"):
            _check_images(key, images, module)
    return {
        rename(FCA_KEYS, key, "convnets"): tensor
        for key, tensor in state.items()
        if not key.endswith(f".{BASIS}")
    }


def _check_images(key: str, images: Tensor, module: nn.Module) -> None:
    layer = dict(module.named_modules()).get(rename(FCA_KEYS, key, "").removesuffix(f".{BASIS}"))
    own = getattr(layer, "basis", None)
    if not isinstance(own, Tensor):
        raise WeightsMismatchError("the network has no attention there", where=key)
    same = images.ndim == 3 and images.shape[1:] == own.shape[1:] and not images.shape[0] % len(own)
    if same:
        repeated = own.repeat_interleave(images.shape[0] // len(own), 0)
        same = torch.allclose(repeated, images.to(repeated), atol=1e-5)
    if not same:
        raise WeightsMismatchError(
            f"the DCT images of {list(images.shape)} are not those of these settings",
            where=key,
            remedy='frequencies="top16" (or low, bot; 1 to 32), dct_size={"64": 56, ...}',
        )
