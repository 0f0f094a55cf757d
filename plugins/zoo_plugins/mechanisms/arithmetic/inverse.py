"""Inverse gradient attention (Zhang, Wang, Cao, Shen, Li, arXiv 2011.10850, section 3.2; IGA).

    g = d MSE(D(E(x, m)), m) / dx            per pixel and colour
    a = 1 - sigmoid(g),   y = x * a          pixels that the message depends on are dimmed
    encoded = E(y, m),   decoded = D(encoded)

x, y: (B, 3, H, W), cover images; m: (B, L), the message to be hidden; E: (B, 3, H, W); D: (B, L).
a is a constant for training. E and D are HiDDeN's: blocks of 3x3 convolution, batch norm and ReLU;
the message, spread over the map, is joined with E's features and x; D ends in a mean over the map.
The mean loss is differentiated, so g, and with it a, depends on the size of the batch; for images
of usual size g is some 1e-5, and a nearly 0.5. The authors leave the mask out at test time. In
training the norms' running statistics see both passes.

Not part of this: the noise between E and D, the message's own coder, the discriminator. The other
ways of `normalize` are in the authors' code, over the whole batch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import Count, PositiveInt
from zoo.sdk.inputs import check_shape

NAME = "inverse"
NORMALIZE: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "min_max": lambda g: (g - g.min()) / (g.max() - g.min()),
    "mean": lambda g: (g - g.mean()) / (g.max() - g.min()),
    "standard": lambda g: (g - g.mean()) / g.std(),
}


class Inverse(nn.Module):
    """(images, messages) -> the masked images, the mask, and what the network makes of them.

    `forward` gives `y`, `attention`, `gradient`; `encoded_masked` and `decoded_masked` of y;
    `decoded` and `loss` of x, without gradients.

    Args:
        channels: of the convolutions, 64.
        message_length: L, 30.
        encoder_blocks, decoder_blocks: 4 and 7, before the last ones.
        normalize: what g goes through: `sigmoid`, `min_max`, `mean` or `standard`.
        batch_stats: the norms use the batch's statistics in eval too; False.
    """

    def __init__(
        self,
        channels: int = 64,
        *,
        message_length: PositiveInt = 30,
        encoder_blocks: PositiveInt = 4,
        decoder_blocks: Count = 7,
        normalize: Literal["sigmoid", "min_max", "mean", "standard"] = "sigmoid",
        batch_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.message_length, self.normalize = message_length, normalize
        dd: Any = {"device": device, "dtype": dtype}
        self.encoder = Encoder(channels, message_length, encoder_blocks, batch_stats, dd)
        widths = [3, *[channels] * decoder_blocks, message_length]
        self.decoder = _blocks(widths, batch_stats, dd)

    def forward(self, images: Tensor, messages: Tensor) -> dict[str, Tensor]:
        check_shape(NAME, "images", images, ("B", 3, "H", "W"))
        check_shape(NAME, "messages", messages, (images.shape[0], self.message_length))
        gradient, decoded, loss = self.gradient(images, messages)
        attention = 1 - NORMALIZE[self.normalize](gradient)
        y = images * attention
        encoded = self.encoder(y, messages)
        return {
            "y": y,
            "attention": attention,
            "gradient": gradient,
            "decoded": decoded,
            "encoded_masked": encoded,
            "decoded_masked": self.decode(encoded),
            "loss": loss,
        }

    def decode(self, images: Tensor) -> Tensor:
        """The message in the images, (B, L)."""
        return self.decoder(images).mean((2, 3))

    def gradient(self, images: Tensor, messages: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """g, the message decoded from the unmasked images, and its mean squared error."""
        with torch.inference_mode(False), torch.enable_grad():
            cover = images.detach().clone().requires_grad_()
            messages = messages.detach().clone()
            decoded = self.decode(self.encoder(cover, messages))
            loss = F.mse_loss(decoded, messages)
            (gradient,) = torch.autograd.grad(loss, cover)
        return gradient, decoded.detach(), loss.detach()


class Encoder(nn.Module):
    """(images, messages) -> images that hold the messages."""

    def __init__(
        self, channels: int, length: int, blocks: int, stats: bool, dd: dict[str, Any]
    ) -> None:
        super().__init__()
        self.features = _blocks([3, *[channels] * blocks], stats, dd)
        self.join = _blocks([channels + length + 3, channels], stats, dd)
        self.final = nn.Conv2d(channels, 3, 1, **dd)

    def forward(self, images: Tensor, messages: Tensor) -> Tensor:
        spread = messages[:, :, None, None].expand(-1, -1, *images.shape[2:])
        joined = torch.cat([spread, self.features(images), images], 1)
        return self.final(self.join(joined))


class StatefulNorm(nn.BatchNorm2d):
    """A batch norm; with `stats`, by the batch's own statistics in eval too."""

    def __init__(self, channels: int, stats: bool, dd: dict[str, Any]) -> None:
        super().__init__(channels, **dd)
        self.stats = stats

    def forward(self, input: Tensor) -> Tensor:
        if self.training or not self.stats:
            return super().forward(input)
        return F.batch_norm(input, None, None, self.weight, self.bias, True, 0.0, self.eps)


def _blocks(widths: list[int], stats: bool, dd: dict[str, Any]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        conv = nn.Conv2d(inputs, outputs, 3, padding=1, **dd)
        layers += [conv, StatefulNorm(outputs, stats, dd), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def carry_keys(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The authors nest their blocks of three layers; here they are in one row."""

    def flat(match: re.Match[str]) -> str:
        return f"{match[1]}.{3 * int(match[2]) + int(match[3])}."

    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        key = key.replace("encoder.conv_layers.", "encoder.features.")
        key = key.replace("encoder.after_concat_layer.layers.", "encoder.join.")
        key = key.replace("encoder.final_layer.", "encoder.final.")
        key = re.sub(r"^decoder\.layers\.", "decoder.", key)
        found[re.sub(r"^(.*)\.(\d+)\.layers\.(\d+)\.", flat, key)] = tensor
    return found


def example(channels: int, batch: int, generator: torch.Generator) -> tuple[dict[str, Any], Any]:
    """Small images and messages in a small network."""
    images = torch.randn(batch, 3, 6, 7, generator=generator)
    messages = torch.rand(batch, 5, generator=generator).round()
    options = {"channels": 8, "message_length": 5, "encoder_blocks": 2, "decoder_blocks": 2}
    return options, (images, messages)


example.batch_independent = False  # pyright: ignore[reportFunctionMemberAccess]
