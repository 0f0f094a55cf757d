"""A model's own preprocessing: timm's transform of images as bytes, and the rest on the batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch import Tensor, nn

from zoo.data.modes import to_mode
from zoo.errors import DataError, OptionError

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")
_MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """Settings of preprocessing, under timm's names.

    Resizing and cropping are timm's, pixel for pixel (PIL's resampling of bytes).

    Attributes:
        input_size: (C, H, W).
        mean, std: of each channel, of values in [0, 1].
        interpolation: how images are resized.
        crop_pct: the share of the resized image that the crop takes.
        crop_mode: where the crop is, in timm's words.
    """

    input_size: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    crop_pct: float = 0.875
    crop_mode: str = "center"

    @classmethod
    def of(cls, model: nn.Module, *, test_size: bool = False, **settings: Any) -> Preprocessing:
        """The settings that `model.pretrained_cfg` states.

        A model of one channel whose settings are for three gets the mean of these: images become
        grey.

        Args:
            test_size: take timm's larger test resolution, where there is one.
            **settings: settings that go before those of the model.

        Raises:
            OptionError: a setting cannot be, or does not fit the channels of the model.
            DataError: the model takes neither grey nor colour images.
        """
        given = {key: value for key, value in settings.items() if value is not None}
        lengths = {key: given.pop(key) for key in ("mean", "std") if key in given}
        config = {**resolve_data_config(given, model=model, use_test_size=test_size), **lengths}
        channels = _in_chans(model, int(config["input_size"][0]))
        _check({**given, **lengths}, channels)
        if channels not in _MODES:
            raise DataError(
                f"the model takes {channels} channels; images have 1 (grey) or 3 (colour)",
                remedy="create the model with in_chans=1 or in_chans=3",
            )
        height, width = (int(n) for n in config["input_size"][1:])
        return cls(
            input_size=(channels, height, width),
            mean=_per_channel(config["mean"], channels),
            std=_per_channel(config["std"], channels),
            interpolation=str(config["interpolation"]),
            crop_pct=float(config["crop_pct"]),
            crop_mode=str(config["crop_mode"]),
        )

    def asdict(self) -> Mapping[str, Any]:
        """The settings as plain data, for the record."""
        return asdict(self)

    def normalise(self, pixels: Tensor, device: torch.device | None = None) -> Tensor:
        """uint8 (B, H, W, C) -> float32 (B, C, H, W), channels-last in memory, on `device`."""
        batch, height, width, channels = pixels.shape
        # A row of pixels is one dimension here, which is three times as fast as channels of 3.
        x = pixels.to(device, non_blocking=True).reshape(batch, height, width * channels)
        x = x.to(torch.float32)
        mean = torch.tensor(self.mean, device=x.device).repeat(width)
        std = torch.tensor(self.std, device=x.device).repeat(width)
        x = x.sub_(mean * 255).div_(std * 255)
        return x.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _check(settings: Mapping[str, Any], channels: int) -> None:
    """Refuse settings that no image can be brought to, or that are not of the model's channels."""
    size = tuple(settings.get("input_size", (channels, 1, 1)))
    if min(size) < 1 or size[0] != channels:
        raise OptionError(
            f"the model takes {channels} channels, and input_size is {size}",
            remedy=f"--input-size {channels} H W",
        )
    for key in settings.keys() & {"mean", "std"}:
        values, least = settings[key], 0 if key == "std" else -math.inf
        if len(values) not in (1, channels):
            raise OptionError(f"{len(values)} values of {key} for {channels} channels")
        if not all(least < value < math.inf for value in values):
            raise OptionError(f"{key}={values} is out of range")
    if not 0 < settings.get("crop_pct", 1.0) < math.inf:
        raise OptionError(f"crop_pct={settings['crop_pct']} is no share of an image")
    if settings.get("interpolation", "bicubic") not in INTERPOLATIONS:
        raise OptionError(
            f"there is no interpolation {settings['interpolation']!r}",
            remedy=f"one of {', '.join(INTERPOLATIONS)}",
        )


class ToPixels:
    """From a PIL image or a uint8 array to uint8 (H, W, C), resized and cropped as timm does in
    eval.

    Args:
        steps: other transforms of PIL images that end in the right size, such as those of training.
    """

    def __init__(self, settings: Preprocessing, steps: Sequence[Any] | None = None) -> None:
        self.mode = _MODES[settings.input_size[0]]
        self.steps = list(steps) if steps is not None else evaluation_steps(settings)

    def __call__(self, image: Image.Image | NDArray[np.uint8]) -> NDArray[np.uint8]:
        picture = image if isinstance(image, Image.Image) else _picture(image)
        picture = to_mode(picture, self.mode)
        for step in self.steps:
            picture = step(picture)
        pixels = np.array(picture)
        return pixels[..., None] if pixels.ndim == 2 else pixels


def evaluation_steps(settings: Preprocessing) -> list[Any]:
    """timm's steps of evaluation, but for the change to a tensor."""
    transform: Any = create_transform(
        settings.input_size,
        is_training=False,
        interpolation=settings.interpolation,
        mean=settings.mean,
        std=settings.std,
        crop_pct=settings.crop_pct,
        crop_mode=settings.crop_mode,
        use_prefetcher=True,  # bytes in, bytes out: the last step is the change to a tensor
    )
    return transform.transforms[:-1]


def _picture(image: Any) -> Image.Image:
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim not in (2, 3):
        raise ValueError(f"neither a PIL image nor uint8 (H, W[, C]): {array.dtype} {array.shape}")
    return Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array)


def _in_chans(model: nn.Module, default: int) -> int:
    """Channels that the built model takes; timm's config does not follow `in_chans=`."""
    stated = getattr(model, "in_chans", None)
    if isinstance(stated, int):
        return stated
    config = getattr(model, "pretrained_cfg", None) or {}
    first: Any = config.get("first_conv")
    try:
        conv: Any = model.get_submodule(first if isinstance(first, str) else first[0])
        return int(conv.weight.shape[1]) if isinstance(conv, nn.Conv2d) else default
    except (AttributeError, TypeError, IndexError):
        return default


def _per_channel(values: Any, channels: int) -> tuple[float, ...]:
    given = tuple(float(v) for v in values)
    if len(given) == channels:
        return given
    if len(given) == 1 or channels == 1:
        return (sum(given) / len(given),) * channels
    raise OptionError(f"{len(given)} values of mean or std for {channels} channels")
