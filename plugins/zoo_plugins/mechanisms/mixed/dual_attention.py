"""Dual attention (Fu et al., CVPR 2019, arXiv 1809.02983, section 3): both halves of DANet.

    on the map itself:  y = P(x) + C(x)
    as DANet's head:    y = g_p(P(f_p(x))) + g_c(C(f_c(x))),   f, g: relu(BN(conv3x3))

P attends over positions, C over channels (`dual_attention_position`, `dual_attention_channel`);
each adds gamma times what it attends to, gamma starting at 0, so that the first form starts at 2 x.
x: (B, C, H, W); y: the same shape, in the head (B, C/4, H, W). The head is what the paper draws; at
the end of every block of a backbone its four 3x3 convolutions would outweigh the backbone.

With `num_classes`, the head ends in 1x1 convolutions: `forward` gives the logits of y at x's
resolution, `outputs(x)` those of either half too, which have losses of their own in training.
Parameter names are the authors', but for the `_conv` in those of P.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.sdk import PositiveFloat, PositiveInt, Share, bottleneck_width
from zoo_plugins.mechanisms.channel.dual_attention_channel import DualAttentionChannel
from zoo_plugins.mechanisms.spatial.dual_attention_position import DualAttentionPosition


class DualAttention(nn.Module):
    """(B, C, H, W) -> the same shape; as a head -> features (B, D, H, W) or logits (B, K, H, W).

    Args:
        channels: C.
        inter_channels: D, of the head; with num_classes C // 4 by default. Without either, the two
            attentions act on the map itself.
        num_classes: K; None: features.
        reduction: channels over those of queries and keys, 8.
        query_channels: of queries and keys themselves.
        variant: `official` or `paper`: the sign of the similarity of channels.
        gamma_position, gamma_channel: where the gammas start, 0.
        dropout: of whole maps before the logits, 0.1.
    """

    def __init__(
        self,
        channels: int,
        *,
        inter_channels: PositiveInt | None = None,
        num_classes: PositiveInt | None = None,
        reduction: PositiveFloat = 8,
        query_channels: PositiveInt | None = None,
        variant: Literal["official", "paper"] = "official",
        gamma_position: float = 0.0,
        gamma_channel: float = 0.0,
        dropout: Share = 0.1,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.has_head = inter_channels is not None or num_classes is not None
        width = _inner(channels, inter_channels, num_classes)
        if self.has_head:
            self.conv5a, self.conv5c = (_conv_norm(channels, width, dd) for _ in range(2))
            self.conv51, self.conv52 = (_conv_norm(width, width, dd) for _ in range(2))
        else:
            self.conv5a = self.conv5c = self.conv51 = self.conv52 = nn.Identity()
        queries = bottleneck_width(width, reduction, query_channels)
        self.sa = DualAttentionPosition(width, query_channels=queries, **dd)
        self.sc = DualAttentionChannel(width, variant=variant, **dd)
        nn.init.constant_(self.sa.gamma, gamma_position)
        nn.init.constant_(self.sc.gamma, gamma_channel)
        self.conv6 = self.conv7 = self.conv8 = None
        if num_classes is not None:
            self.conv6, self.conv7, self.conv8 = (
                nn.Sequential(nn.Dropout2d(dropout), nn.Conv2d(width, num_classes, 1, **dd))
                for _ in range(3)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.position(x) + self.channel(x)
        return y if self.conv8 is None else self.conv8(y)

    def position(self, x: Tensor) -> Tensor:
        """The position half's features."""
        return self.conv51(self.sa(self.conv5a(x)))

    def channel(self, x: Tensor) -> Tensor:
        """The channel half's features."""
        return self.conv52(self.sc(self.conv5c(x)))

    @torch.jit.unused
    def outputs(self, x: Tensor) -> dict[str, Tensor]:
        """`fused` features, and with num_classes the logits `sum`, `position` and `channel`."""
        position, channel = self.position(x), self.channel(x)
        found = {"fused": position + channel}
        if self.conv6 is not None and self.conv7 is not None and self.conv8 is not None:
            found["sum"] = self.conv8(found["fused"])
            found["position"] = self.conv6(position)
            found["channel"] = self.conv7(channel)
        return found

    def init_identity(self) -> float:
        """Start as 2 x, as it does unless gammas are given; returns 2. Not as a head."""
        self.sa.init_identity()
        self.sc.init_identity()
        return 2.0


def _inner(channels: int, inter_channels: int | None, num_classes: int | None) -> int:
    """D of the head, or C."""
    if inter_channels is not None:
        return inter_channels
    return channels if num_classes is None else max(1, channels // 4)


def inner_channels(options: Mapping[str, Any]) -> int:
    """The channels that a reduction is of, among the options that were given."""
    return _inner(options["channels"], options.get("inter_channels"), options.get("num_classes"))


def _conv_norm(inputs: int, outputs: int, dd: Any) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False, **dd),
        nn.BatchNorm2d(outputs, **dd),
        nn.ReLU(),
    )


def reference_call(module: DualAttention, x: Tensor) -> dict[str, Tensor]:
    """What a reference case records: all of `outputs`."""
    return module.outputs(x)
