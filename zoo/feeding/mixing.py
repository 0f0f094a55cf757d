"""What is done to a batch after it is normalised: random erasing, then Mixup or CutMix, of timm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from timm.data.mixup import Mixup
from timm.data.random_erasing import RandomErasing
from torch import Tensor

from zoo.feeding.seeding import seeded
from zoo.recipes import ImageSettings
from zoo.runtime.processes import Processes


@dataclass(frozen=True, slots=True)
class Mixing:
    """Erase rectangles and mix images. What is drawn follows from the seed and the step.

    Attributes:
        erase: timm's random erasing, or None.
        mix: timm's Mixup and CutMix, or None. Labels then become shares of classes, (B, K).
    """

    erase: Any
    mix: Any
    seed: int
    rank: int

    @classmethod
    def of(
        cls, settings: ImageSettings, num_classes: int, seed: int, processes: Processes
    ) -> Mixing:
        erase = mix = None
        if settings.random_erasing:
            # Drawn on the CPU, so that a seed gives the same pixels on each device.
            erase = RandomErasing(settings.random_erasing, mode="pixel", device="cpu")
        if settings.mixup or settings.cutmix:
            mix = Mixup(
                mixup_alpha=settings.mixup, cutmix_alpha=settings.cutmix, prob=settings.mix_prob,
                label_smoothing=0.0, num_classes=num_classes,
            )  # fmt: skip
        return cls(erase, mix, seed, processes.rank)

    def __call__(self, images: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) and labels (B,), or (B, K) where they are mixed, at this step."""
        if self.erase is None and self.mix is None:
            return images, labels
        with seeded(self.seed, step, self.rank):
            images = images if self.erase is None else self.erase(images)
            if self.mix is not None:
                images, labels = self.mix(images, labels)
        return images, labels.to(torch.float32) if labels.ndim > 1 else labels
