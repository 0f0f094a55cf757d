"""From the reference port of RAM (kevinzakka/recurrent-visual-attention, MIT) to ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from zoo.errors import WeightsMismatchError
from zoo.sdk.map_size import size_pair
from zoo.sdk.options import agree
from zoo_plugins.networks.ram.ram import RecurrentAttention


def read_config(
    *,
    in_chans: int | None = None,
    channels: int | None = None,
    img_size: int | Sequence[int] | None = None,
    image_size: int | Sequence[int] | None = None,
    scale: float | None = None,
    glimpse_scale: float | None = None,
    location_hidden: int | None = None,
    loc_hidden: int | None = None,
) -> dict[str, Any]:
    """The port's settings as keywords of `RecurrentAttention`; two names of one must agree."""
    given = {"img_size": img_size, "image_size": image_size}
    sizes = {k: (v, size_pair("ram", k, v)) for k, v in given.items() if v is not None}
    found = {
        "in_chans": agree("ram", in_chans=in_chans, channels=channels),
        "img_size": agree("ram", **sizes),
        "scale": agree("ram", scale=scale, glimpse_scale=glimpse_scale),
        "location_hidden": agree("ram", location_hidden=location_hidden, loc_hidden=loc_hidden),
    }
    return {name: value for name, value in found.items() if value is not None}


def authors_rollout(
    module: RecurrentAttention, image: Tensor, init_location: Tensor, noise: Tensor
) -> tuple[Tensor, ...]:
    """A case of `ram_core`: (log_probs, hidden, location_mean, location, log_pi, baseline)."""
    return tuple(module.rollout(image, init_location, noise)[:6])


def authors_prediction(module: RecurrentAttention, x: Tensor, l0: Tensor) -> Tensor:
    """An entry of `models.json`: one pass of the mean policy from `l0`."""
    return module.rollout(x, l0).log_probs


AUTHORS_NAMES = {
    "sensor.fc1": "sensor.what_hidden",
    "sensor.fc2": "sensor.where_hidden",
    "sensor.fc3": "sensor.what",
    "sensor.fc4": "sensor.where",
    "rnn.i2h": "core.i2h",
    "rnn.h2h": "core.h2h",
    "classifier.fc": "classifier",
    "baseliner.fc": "baseline",
}


def from_authors(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The port's state dict under our names.

    Its newer checkpoints have a hidden layer in the location network (`locator.fc` then
    `locator.fc_lt`), its older ones have not (`locator.fc` alone): build the model with
    `locator_hidden=0, squash="tanh"` for those.
    """
    hidden = "locator.fc_lt.weight" in state
    locator = {"locator.fc": "locator.hidden" if hidden else "locator.mean"}
    names = AUTHORS_NAMES | locator | {"locator.fc_lt": "locator.mean"}
    if isinstance(module, RecurrentAttention) and hidden != (module.locator.hidden is not None):
        raise WeightsMismatchError(
            f"the checkpoint's location network has {'a' if hidden else 'no'} hidden layer",
            where="locator.fc.weight",
            remedy="locator_hidden=None" if hidden else 'locator_hidden=0, squash="tanh"',
        )
    split = {key: key.rpartition(".") for key in state}
    return {f"{names.get(m, m)}.{leaf}": state[key] for key, (m, _, leaf) in split.items()}
