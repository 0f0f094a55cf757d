"""A small Perceiver that classifies images (arXiv 2103.03206, section 4.1).

Every pixel, with the Fourier features of its position, is an element of the input; there is no
convolution and no patch. The official form of `perceiver`, small: the paper's has 512 latents of
1,024 channels. Any size of image will do, since positions are from -1 to 1.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from zoo.sdk.options import check_int
from zoo_plugins.mechanisms.multimodal.perceiver import perceiver
from zoo_plugins.mechanisms.multimodal.perceiver_encoder import Perceiver

NAME = "perceiver_64"


class PerceiverNet(nn.Module):
    """(B, C, H, W) -> logits (B, num_classes).

    Args:
        num_classes: 0 leaves features. in_chans: C.
        dim (128), num_latents (64), num_freq_bands (16), num_blocks (2), self_per_block (2),
        latent_heads (4), variant and so on: of `perceiver`.
        global_pool: `avg`, the mean latent.
    """

    def __init__(
        self, num_classes: int = 10, in_chans: int = 3, global_pool: str = "avg", **options: Any
    ) -> None:
        super().__init__()
        self.in_chans, self.global_pool = check_int(NAME, "in_chans", in_chans), global_pool
        network = perceiver(in_chans, **{**DEFAULTS, **options})
        assert isinstance(network, Perceiver)
        self.perceiver = network
        dim = network.latents.shape[1]
        self.norm = nn.LayerNorm(dim, device=options.get("device"), dtype=options.get("dtype"))
        self.num_features = self.head_hidden_size = dim
        self.reset_classifier(num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """The latents, (B, K, dim)."""
        return self.perceiver(x.permute(0, 2, 3, 1))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Latents -> logits, or the normalised mean latent, (B, dim)."""
        if not self.global_pool:
            return x
        x = self.norm(x.mean(1))
        return x if pre_logits else self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new classifier; 0 removes it, and `global_pool=""` leaves the latents as they are."""
        self.num_classes = check_int(NAME, "num_classes", num_classes, 0)
        self.global_pool = self.global_pool if global_pool is None else global_pool
        like = self.perceiver.latents
        self.head: nn.Module = nn.Identity()
        if num_classes:
            self.head = nn.Linear(
                self.num_features, num_classes, device=like.device, dtype=like.dtype
            )


DEFAULTS: dict[str, Any] = {
    "dim": 128, "num_latents": 64, "num_freq_bands": 16, "num_blocks": 2, "self_per_block": 2,
    "latent_heads": 4, "input_axis": 2,
}  # fmt: skip
