"""Settings in timm's names that several named models share; torch-free, since specs state them."""

from __future__ import annotations

from typing import Any

RESNET: dict[str, Any] = {  # of timm's ResNets at 224 x 224, and of those built on them
    "input_size": (3, 224, 224), "pool_size": (7, 7), "first_conv": "conv1", "classifier": "fc",
}  # fmt: skip
