"""A small network for house numbers of 32 x 32 grey pixels: five heads of eleven classes.

That of tianyu-tristan/Visual-Attention-Model (MIT, `SVHN/cnn-only`, from
hangyao/street_view_house_numbers), which its author's DRAM was to be compared with:

    local contrast normalisation 7x7 - conv 5x5 16, ReLU, LRN, max pool 2
    - conv 5x5 32, ReLU, LRN, max pool 2 - conv 5x5 64, ReLU, dropout 1/16 - five linear layers

Its contrast normalisation divides by no less than the mean deviation of the whole batch (called
`per_img_mean`); here it is each image's own, so that no image depends on its batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from timm.layers import register_notrace_module
from torch import Tensor, nn

from zoo.sdk import Count, PositiveInt, Share, Size, refuse
from zoo.sdk.map_size import as_pair
from zoo.sdk.tables import Tables
from zoo_plugins.networks.baselines.classifier import map_shape
from zoo_plugins.networks.baselines.sequence import DigitClasses, SequenceClassifier

NAME = "cnn_svhn_grey"


@register_notrace_module  # its kernel is as wide as the input
class ContrastNorm(Tables):
    """Local contrast normalisation (Jarrett et al., ICCV 2009): (B, C, H, W) -> the same.

        v = x - G * x,   s = sqrt(G * v^2),   y = v / max(s, mean s, 1e-4)

    G: a Gaussian of 7 x 7 pixels with standard deviation 3, zero outside the image. Each channel
    by itself.
    """

    if TYPE_CHECKING:  # TorchScript cannot read postponed annotations
        kernel: Tensor

    def __init__(
        self, size: int = 7, sigma: float = 3.0, *, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.sigma = sigma
        kernel = torch.empty(1, 1, size, size, device=device, dtype=dtype)
        self.register_buffer("kernel", kernel, persistent=False)
        self._init_buffers()

    def _init_buffers(self) -> None:
        size = self.kernel.shape[-1]
        places = torch.arange(size, dtype=torch.float64, device="cpu") - size // 2
        line = torch.exp(-places.square() / (2 * self.sigma**2))
        self.kernel.copy_(line[:, None] * line / line.sum() ** 2)

    def forward(self, x: Tensor) -> Tensor:
        centred = x - self._blur(x)
        deviation = (self._blur(centred.square()) + 1e-12).sqrt()
        mean = deviation.mean((2, 3), keepdim=True)
        return centred / deviation.maximum(mean).clamp_min(1e-4)

    def _blur(self, x: Tensor) -> Tensor:
        channels, pad = x.shape[1], self.kernel.shape[-1] // 2
        weight = self.kernel.expand(channels, -1, -1, -1)
        return F.conv2d(x, weight, padding=pad, groups=channels)


class CnnSvhnGrey(SequenceClassifier):
    """(B, C, H, W) -> logits (B, 55): five digits of 0 to 9 or none. See `SequenceClassifier`.

    Args:
        num_classes: None is that of all heads; another number makes it a plain classifier.
        in_chans: 1. img_size: (H, W) or one number, 32.
        widths: of the convolutions, (16, 32, 64).
        digits, digit_classes: of the heads.
        drop_rate: 1/16, before the heads.
        global_pool: "" gives the last map, with num_classes=0.
    """

    name = NAME

    def __init__(
        self,
        *,
        num_classes: Count | None = None,
        in_chans: PositiveInt = 1,
        img_size: Size = 32,
        widths: tuple[PositiveInt, PositiveInt, PositiveInt] = (16, 32, 64),
        digits: PositiveInt = 5,
        digit_classes: DigitClasses = 11,
        drop_rate: Share = 0.0625,
        global_pool: Literal["flat", ""] = "flat",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        dd: Any = {"device": device, "dtype": dtype}
        self.in_chans, self.image_size = in_chans, as_pair(img_size)
        first, second, third = widths
        outputs = self.set_heads(digits, digit_classes, 0)
        # TensorFlow's LRN sums 11 channels; PyTorch's averages them.
        norm = nn.LocalResponseNorm(11, alpha=11.0, beta=0.5, k=1.0)
        self.features = nn.Sequential(
            ContrastNorm(**dd),
            nn.Conv2d(in_chans, first, 5, **dd),
            nn.ReLU(),
            norm,
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Conv2d(first, second, 5, **dd),
            nn.ReLU(),
            norm,
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Conv2d(second, third, 5, **dd),
            nn.ReLU(),
        )
        self.feature_info = [
            {"num_chs": first, "reduction": 2, "module": "features.4"},
            {"num_chs": second, "reduction": 4, "module": "features.8"},
            {"num_chs": third, "reduction": 4, "module": "features.10"},
        ]
        try:
            depth, height, width = map_shape(self.features, in_chans, self.image_size)
        except RuntimeError:
            refuse(NAME, f"img_size={img_size} is less than 32 x 32")
        self.hidden = nn.Sequential(nn.Flatten(), nn.Dropout(drop_rate))
        classes = outputs if num_classes is None else num_classes
        self.finish(
            classes, third, head_hidden_size=depth * height * width, global_pool=global_pool, **dd
        )
