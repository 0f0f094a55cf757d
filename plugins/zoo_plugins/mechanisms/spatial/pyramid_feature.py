"""Pyramid feature attention (Zhao, Wu, CVPR 2019, arXiv 1903.00179, section 3).

    f_i = relu(BN([conv1x1(c_i), conv3x3_d(c_i) for d in 3, 5, 7]))       i = 3, 4, 5   (CPFE)
    f = [f_3, up(f_4), up(f_5)]                                           at c_3's size
    ca = sigmoid(W2 relu(W1 mean_hw f))                                   channel-wise attention
    high = up(relu(BN(conv(ca f))))                                       at c_1's size
    sa = sigmoid(g(high) + g'(high))                                      spatial attention
    low = sa relu(BN(conv3x3([l(c_1), up(l(c_2))]))),   l = relu(BN(conv3x3))
    saliency = conv3x3([low, high])

c_1 ... c_5: (B, C_i, H / 2^(i-1), W / 2^(i-1)), the last maps of VGG-16's stages; saliency: (B, 1,
H, W), logits. g: 1 x k to half the channels, then k x 1 to one plane; g': the reverse; each
convolution with BN and ReLU, so that sa >= 0.5. W1: to a quarter. up: bilinear, corners aligned.
The training loss adds the mean of ca, times a constant (`attend` gives it).

The authors' code (Keras) normalises by the batch's own statistics even at test time:
`bn_batch_statistics=True`. A common PyTorch port has high_kernel_size=3, bn_eps=1e-5 and
output="sigmoid".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.sdk import OddInt, PositiveFloat, PositiveInt, bottleneck_width
from zoo.sdk.inputs import check_shape

NAME = "pyramid_feature"
VGG16 = (64, 128, 256, 512, 512)
Widths: TypeAlias = tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt, PositiveInt]


class PyramidFeature(nn.Module):
    """Five maps -> (B, 1, H, W).

    Args:
        channels: of the high and the low features, 64.
        in_channels: C_1 ... C_5, by default VGG-16's.
        cpfe_channels: of each convolution of the CPFE, 32.
        dilations: of its 3 x 3 convolutions, (3, 5, 7).
        reduction: of W1, 4.
        kernel_size: k, odd, 9.
        high_kernel_size: of the convolution after the channel-wise attention, odd, 1.
        bn_eps: of the batch norms, 1e-3.
        bn_batch_statistics: normalise by the batch's own statistics in eval too; False.
        output: `logits`, or `sigmoid` of them.
    """

    def __init__(
        self,
        channels: int = 64,
        *,
        in_channels: Widths = VGG16,
        cpfe_channels: PositiveInt = 32,
        dilations: Sequence[PositiveInt] = (3, 5, 7),
        reduction: PositiveFloat = 4,
        kernel_size: OddInt = 9,
        high_kernel_size: OddInt = 1,
        bn_eps: PositiveFloat = 1e-3,
        bn_batch_statistics: bool = False,
        output: Literal["logits", "sigmoid"] = "logits",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.output = in_channels, output
        build = Layers(bn_eps, bn_batch_statistics, {"device": device, "dtype": dtype})
        self.cpfe = nn.ModuleList(
            ContextExtraction(c, cpfe_channels, dilations, build) for c in in_channels[2:]
        )
        joined = 3 * cpfe_channels * (1 + len(dilations))
        hidden = bottleneck_width(joined, reduction)
        self.fc1 = nn.Linear(joined, hidden, **build.dd)
        self.fc2 = nn.Linear(hidden, joined, **build.dd)
        self.high = build(joined, channels, high_kernel_size)
        half, k = max(1, channels // 2), kernel_size
        self.spatial = nn.ModuleList(
            nn.Sequential(*build(channels, half, first), *build(half, 1, last))
            for first, last in (((1, k), (k, 1)), ((k, 1), (1, k)))
        )
        self.low1 = build(in_channels[0], channels, 3)
        self.low2 = build(in_channels[1], channels, 3)
        self.low = build(2 * channels, channels, 3)
        self.fuse = nn.Conv2d(2 * channels, 1, 3, padding=1, **build.dd)

    def forward(self, c1: Tensor, c2: Tensor, c3: Tensor, c4: Tensor, c5: Tensor) -> Tensor:
        return self.attend(c1, c2, c3, c4, c5)["saliency"]

    def attend(
        self, c1: Tensor, c2: Tensor, c3: Tensor, c4: Tensor, c5: Tensor
    ) -> dict[str, Tensor]:
        """The saliency and what it is made of, by name."""
        for i, x in enumerate((c1, c2, c3, c4, c5)):
            check_shape(NAME, f"c{i + 1}", x, (c1.shape[0], self.in_channels[i], "H", "W"))
        contexts = [extract(c) for extract, c in zip(self.cpfe, (c3, c4, c5), strict=True)]
        context = torch.cat([_resize(x, c3) for x in contexts], 1)
        channel = torch.sigmoid(self.fc2(F.relu(self.fc1(context.mean((2, 3))))))
        high = _resize(self.high(context * channel[:, :, None, None]), c1)
        spatial = torch.sigmoid(self.spatial[0](high) + self.spatial[1](high))
        low = spatial * self.low(torch.cat([self.low1(c1), _resize(self.low2(c2), c1)], 1))
        saliency = self.fuse(torch.cat([low, high], 1))
        return {
            "saliency": torch.sigmoid(saliency) if self.output == "sigmoid" else saliency,
            "cpfe3": contexts[0],
            "channel_attention": channel,
            "high": high,
            "spatial_attention": spatial,
            "low": low,
            "channel_regulariser": channel.mean(),
        }


class Layers:
    """Convolution, batch norm, ReLU: built alike everywhere."""

    def __init__(self, eps: float, batch_statistics: bool, dd: dict[str, Any]) -> None:
        self.norm = BatchStatistics if batch_statistics else nn.BatchNorm2d
        self.eps, self.dd = eps, dd

    def __call__(self, inputs: int, outputs: int, kernel: int | tuple[int, int]) -> nn.Sequential:
        conv = nn.Conv2d(inputs, outputs, kernel, padding="same", **self.dd)
        return nn.Sequential(conv, self.norm(outputs, self.eps, **self.dd), nn.ReLU(inplace=True))


class BatchStatistics(nn.BatchNorm2d):
    """A batch norm that uses the statistics of the batch in eval too."""

    def forward(self, input: Tensor) -> Tensor:
        mean, var = self.running_mean, self.running_var
        if not self.training:
            mean = var = None
        return F.batch_norm(
            input, mean, var, self.weight, self.bias, True, self.momentum or 0.0, self.eps
        )


class ContextExtraction(nn.Module):
    """CPFE: (B, C, H, W) -> (B, width (1 + number of dilations), H, W)."""

    def __init__(self, channels: int, width: int, dilations: Sequence[int], build: Layers) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(channels, width, 1, bias=False, **build.dd)])
        for d in dilations:
            conv = nn.Conv2d(channels, width, 3, padding=d, dilation=d, bias=False, **build.dd)
            self.convs.append(conv)
        self.norm = build.norm(width * len(self.convs), build.eps, **build.dd)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(torch.cat([conv(x) for conv in self.convs], 1)))


def _resize(x: Tensor, like: Tensor) -> Tensor:
    if x.shape[2:] == like.shape[2:]:
        return x
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=True)


KEYS = (  # of the PyTorch port
    (r"cha_att\.linear_([12])\.", r"fc\1."),
    (r"hl_conv1\.", "high.0."),
    (r"hl_bn1\.", "high.1."),
    (r"ll_conv_([12])\.", r"low\1.0."),
    (r"ll_bn_([12])\.", r"low\1.1."),
    (r"ll_conv_3\.", "low.0."),
    (r"ll_bn_3\.", "low.1."),
    (r"ff_conv_1\.", "fuse."),
    (r"spa_att\.grp1_conv1k\.", "spatial.0.0."),
    (r"spa_att\.grp1_convk1\.", "spatial.0.3."),
    (r"spa_att\.grp2_convk1\.", "spatial.1.0."),
    (r"spa_att\.grp2_conv1k\.", "spatial.1.3."),
    (r"spa_att\.grp([12])_bn1\.", lambda m: f"spatial.{int(m[1]) - 1}.1."),
    (r"spa_att\.grp([12])_bn2\.", lambda m: f"spatial.{int(m[1]) - 1}.4."),
    (r"cpfe_conv([345])_3\.bn\.", lambda m: f"cpfe.{int(m[1]) - 3}.norm."),
    (r"cpfe_conv([345])_3\.conv_1_1\.", lambda m: f"cpfe.{int(m[1]) - 3}.convs.0."),
)  # fmt: skip


def carry_keys(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The port's names; its dilated convolutions are named by a dilation, in ascending order."""
    found: dict[str, Tensor] = {}
    named = sorted({int(d) for key in state for d in re.findall(r"conv_dil_(\d+)\.", key)})

    def dilated(match: re.Match[str]) -> str:
        return f"cpfe.{int(match[1]) - 3}.convs.{named.index(int(match[2])) + 1}."

    for key, tensor in state.items():
        for pattern, replacement in (*KEYS, (r"cpfe_conv([345])_3\.conv_dil_(\d+)\.", dilated)):
            key = re.sub(f"^{pattern}", replacement, key)
        found[key] = tensor
    return found


def reference_call(module: PyramidFeature, *maps: Tensor) -> dict[str, Tensor]:
    """What a reference case records: all that `attend` gives."""
    return module.attend(*maps)


def example(channels: int, batch: int, generator: torch.Generator) -> tuple[dict[str, Any], Any]:
    """Five small maps."""
    widths, sizes = (4, 5, 6, 7, 8), (16, 8, 4, 2, 1)
    maps = [
        torch.randn(batch, c, s, s + s // 2, generator=generator)
        for c, s in zip(widths, sizes, strict=True)
    ]
    return {"in_channels": widths, "cpfe_channels": 3}, tuple(maps)
