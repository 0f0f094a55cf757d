"""Guided attention inference (GAIN; Li et al., CVPR 2018, arXiv 1802.10171, section 3.1).

    A = relu(sum_k w_k f_k),  w_k = mean_hw d s_c / d f_k            Grad-CAM of the class c
    T(A) = sigmoid(omega (A - sigma))                               soft threshold
    I* = I - T(A) I                                                 the image without what A shows
    L = L_classification + alpha mean_c s_c(I*)                     attention mining

What is left of the image shall not be told for c any more, so A must cover all of it. f are the
last features, A is resized to the image. The gradient of the second term goes through A, f and w.

There is no code of the authors. An unofficial port (AustinDoolittle/Pytorch-Gain, followed in
omega = 10 and sigma = 0.5) brings A to [0, 1] in each image before T; the survey that quotes the
paper's equations does not (`normalize=False`). The port multiplies the gradient by the score, which
turns the map of a negative score around; here it is the plain gradient. s_c is the probability.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from zoo.sdk.inputs import check_shape
from zoo.sdk.options import agree, check_bool, check_int, check_number, refuse
from zoo_plugins.mechanisms.class_based.grad_cam import class_index, grad_cam, min_max, resize

NAME = "gain"


class Guided(NamedTuple):
    """logits (B, K), channel_weights (B, C), attention_low (B, 1, h, w), attention and soft_mask
    (B, 1, H, W), masked_image (B, 3, H, W), logits_masked (B, K)."""

    logits: Tensor
    channel_weights: Tensor
    attention_low: Tensor
    attention: Tensor
    soft_mask: Tensor
    masked_image: Tensor
    logits_masked: Tensor


class Guidance:
    """The settings of GAIN, around any network of `features` and `head`.

    Args:
        omega, sigma: steepness and place of the soft threshold.
        normalize: bring A to [0, 1] in each image before the threshold.
        align_corners: of the resizing of A to the image.
    """

    def __init__(
        self,
        omega: float = 10.0,
        sigma: float = 0.5,
        normalize: bool = True,
        align_corners: bool = False,
    ) -> None:
        self.omega = check_number(NAME, "omega", omega)
        self.sigma = check_number(NAME, "sigma", sigma, above=-float("inf"))
        self.normalize = check_bool(NAME, "normalize", normalize)
        self.align_corners = check_bool(NAME, "align_corners", align_corners)

    def attend(
        self,
        image: Tensor,
        features: Callable[[Tensor], Tensor],
        head: Callable[[Tensor], Tensor],
        labels: Tensor | Sequence[int] | None = None,
    ) -> Guided:
        """Look, take out what was seen, and look again."""
        cam = grad_cam(features(image), head, labels, create_graph=torch.is_grad_enabled())
        attention = resize(cam.attention, image.shape[2:], self.align_corners)
        mask = self.soft_mask(attention)
        masked = image - mask * image
        again = head(features(masked))
        return Guided(cam.logits, cam.weights, cam.attention, attention, mask, masked, again)

    def soft_mask(self, attention: Tensor) -> Tensor:
        """T(A), from 0 to 1."""
        if self.normalize:
            attention = min_max(attention)
        return torch.sigmoid(self.omega * (attention - self.sigma))


def attention_mining(logits_masked: Tensor, labels: Tensor) -> Tensor:
    """Mean probability of each image's class where its attention is taken out."""
    index = class_index(labels, logits_masked).unsqueeze(1)
    return logits_masked.softmax(1).gather(1, index).mean()


class Gain(nn.Module):
    """image (B, C, H, W) -> logits (B, K): GAIN around a small network.

    The network is conv3x3, ReLU, max-pooling by 2, conv3x3, ReLU (these are f), mean, linear; with
    more `widths` it has more such layers. `attend` gives the attention and the masked image.

    Args:
        in_channels: C, 3. num_classes: K, 5.
        widths (or channels): of the convolutions, (8, 10).
        omega, sigma, normalize, align_corners: see `Guidance`.
        labels: the class of each image that `attend` explains, if it is given none; else it is the
            class of the largest logit.
    """

    def __init__(
        self,
        in_channels: int = 3,
        *,
        channels: Sequence[int] | None = None,
        widths: Sequence[int] | None = None,
        num_classes: int = 5,
        omega: float = 10.0,
        sigma: float = 0.5,
        normalize: bool = True,
        labels: Sequence[int] | None = None,
        align_corners: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.in_channels = check_int(NAME, "in_channels", in_channels)
        stated = {"channels": _widths("channels", channels), "widths": _widths("widths", widths)}
        layers: list[int] = agree(NAME, **stated) or [8, 10]
        self.depth = len(layers)
        for layer, sides in enumerate(pairwise((self.in_channels, *layers)), 1):
            self.add_module(f"conv{layer}", nn.Conv2d(*sides, 3, padding=1, **dd))
        self.fc = nn.Linear(layers[-1], check_int(NAME, "num_classes", num_classes), **dd)
        self.guidance = Guidance(omega, sigma, normalize, align_corners)
        self.labels = None if labels is None else [check_int(NAME, "labels", n, 0) for n in labels]

    def features(self, image: Tensor) -> Tensor:
        check_shape(NAME, "image", image, ("B", self.in_channels, "H", "W"))
        for layer in range(1, self.depth + 1):
            if layer > 1:
                image = nn.functional.max_pool2d(image, 2)
            image = torch.relu(self.get_submodule(f"conv{layer}")(image))
        return image

    def head(self, features: Tensor) -> Tensor:
        return self.fc(features.mean((2, 3)))

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.features(image))

    def attend(self, image: Tensor, labels: Tensor | Sequence[int] | None = None) -> Guided:
        """The attention of `labels` (B,), and what the network says without it."""
        chosen = self.labels if labels is None else labels
        return self.guidance.attend(image, self.features, self.head, chosen)

    def attention_maps(self, images: Tensor) -> dict[str, Tensor]:
        """For pictures: the attention of the predicted class, from 0 to 1, (B, 1, H, W)."""
        return {"attention": min_max(self.guidance.attend(images, self.features, self.head)[3])}


def _widths(name: str, given: Any) -> list[int] | None:
    if given is None:
        return None
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        refuse(NAME, f"{name}={given!r} is no list of the channels of each layer")
    return [check_int(NAME, name, width) for width in given]


def reference_call(module: Gain, image: Tensor) -> Guided:
    """What a reference case records."""
    return module.attend(image)
