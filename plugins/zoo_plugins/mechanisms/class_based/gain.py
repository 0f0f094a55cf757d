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

from zoo.sdk import Count, PositiveFloat, PositiveInt, refuse
from zoo.sdk.inputs import check_shape
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
        omega: PositiveFloat = 10.0,
        sigma: float = 0.5,
        normalize: bool = True,
        align_corners: bool = False,
    ) -> None:
        self.omega, self.sigma = omega, sigma
        self.normalize, self.align_corners = normalize, align_corners

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
        in_channels: C.
        widths: channels of the convolutions.
        num_classes: K.
        omega, sigma, normalize, align_corners: see `Guidance`.
        labels: the class of each image that `attend` explains, if it is given none; else it is the
            class of the largest logit.
    """

    def __init__(
        self,
        in_channels: PositiveInt = 3,
        *,
        widths: Sequence[PositiveInt] = (8, 10),
        num_classes: PositiveInt = 5,
        omega: PositiveFloat = 10.0,
        sigma: float = 0.5,
        normalize: bool = True,
        labels: Sequence[Count] | None = None,
        align_corners: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        if not widths:
            refuse(NAME, "widths=() leave no layer", "widths=(8, 10)")
        self.in_channels, self.depth = in_channels, len(widths)
        for layer, sides in enumerate(pairwise((in_channels, *widths)), 1):
            self.add_module(f"conv{layer}", nn.Conv2d(*sides, 3, padding=1, **dd))
        self.fc = nn.Linear(widths[-1], num_classes, **dd)
        self.guidance = Guidance(omega, sigma, normalize, align_corners)
        self.labels = None if labels is None else list(labels)

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


def reference_call(module: Gain, image: Tensor) -> Guided:
    """What a reference case records."""
    return module.attend(image)
