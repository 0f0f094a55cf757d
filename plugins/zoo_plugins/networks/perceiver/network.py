"""A small Perceiver that classifies images (arXiv 2103.03206, section 4.1).

Every pixel, with the Fourier features of its position, is an element of the input; there is no
convolution and no patch. The official form of `perceiver`, small: the paper's has 512 latents of
1,024 channels. Any size of image will do, since positions are from -1 to 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

from zoo.sdk import Count, PositiveInt
from zoo.sdk.classifier import Classifier
from zoo_plugins.mechanisms.multimodal.authors import perceiver as options_of
from zoo_plugins.mechanisms.multimodal.perceiver import perceiver
from zoo_plugins.mechanisms.multimodal.perceiver_encoder import Perceiver

NAME = "perceiver_64"


class PerceiverNet(Classifier):
    """(B, C, H, W) -> logits (B, num_classes).

    Args:
        num_classes: 0 leaves features. in_chans: C.
        dim (128), num_latents (64), num_freq_bands (16), num_blocks (2), self_per_block (2),
        latent_heads (4), variant and so on: of `perceiver`.
        global_pool: `avg`, the mean latent.
    """

    name, classifier_name = NAME, "head"

    if TYPE_CHECKING:
        head: nn.Module

    def __init__(
        self,
        num_classes: Count = 10,
        in_chans: PositiveInt = 3,
        global_pool: Literal["avg", ""] = "avg",
        **options: Any,
    ) -> None:
        super().__init__()
        self.in_chans = in_chans
        network = perceiver(in_chans, **{**DEFAULTS, **options_of(options)})
        assert isinstance(network, Perceiver)
        self.perceiver = network
        dim = network.latents.shape[1]
        dd: Any = {"device": options.get("device"), "dtype": options.get("dtype")}
        self.norm = nn.LayerNorm(dim, **dd)
        self.finish(num_classes, dim, global_pool=global_pool, **dd)

    def forward_features(self, x: Tensor) -> Tensor:
        """The latents, (B, K, dim)."""
        return self.perceiver(x.permute(0, 2, 3, 1))

    def pool(self, x: Tensor) -> Tensor:
        """The normalised mean latent."""
        return self.norm(x.mean(1))

    def classify(self, x: Tensor) -> Tensor:
        return self.head(x)


DEFAULTS: dict[str, Any] = {
    "dim": 128, "num_latents": 64, "num_freq_bands": 16, "num_blocks": 2, "self_per_block": 2,
    "latent_heads": 4, "input_axis": 2,
}  # fmt: skip
