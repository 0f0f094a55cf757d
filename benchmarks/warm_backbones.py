"""Pretrained backbones, with images to tune them on and others to measure them by.

    python benchmarks/warm_backbones.py NAME --cifar DIR [--cache DIR] [--epochs N]

trains the named small network on CIFAR-10, on one thread, and writes its weights into the cache,
`backbones/` beside this file, where `warm_training.py` finds them. ImageNet weights are a file of
the user's; those of `residual_attention` come with the zoo.

An order is a number: it draws which images are tuned on, in which order, and which are held out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file
from timm.data import ImageNetInfo, create_transform
from torch import Tensor, nn

from zoo.data.folder import ImageFolder
from zoo.data.parquet import Parquet

Images = tuple[Tensor, Tensor]
BATCH, HELD_OUT, USED = 16, 500, 4000
CACHE = Path(__file__).with_name("backbones")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A network of timm's, or of the zoo.

    Attributes:
        what: what it is, in the table.
        size: of its images in pixels.
        at: where attention of each role is added, of a network that has no places of its own. Its
            weights come with the zoo then.
        mean, std: of its images.
    """

    timm_name: str
    what: str
    size: int
    roles: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    images: str = "cifar"
    at: dict[str, str] = field(default_factory=dict[str, str])
    mean: tuple[float, ...] = (0.5,) * 3
    std: tuple[float, ...] = (0.5,) * 3

    def plain(self) -> Any:
        """The network without attention and without weights."""
        return timm.create_model(self.timm_name, **self.options)


BACKBONES = {
    "efficientnet_lite0": Backbone(
        timm_name="tf_efficientnet_lite0", size=96, images="photographs",
        roles=("refine", "replace_conv"),
        options={"num_classes": 1000, "pretrained_cfg_overlay": {"input_size": (3, 96, 96)}},
        what="tf_efficientnet_lite0, ImageNet-1k weights, photographs at 96 pixels",
    ),
    "cifar_resnet": Backbone(
        timm_name="resnet18", size=64, roles=("refine", "replace_conv"),
        options={
            "num_classes": 10, "layers": (1, 1, 1, 1), "channels": (16, 32, 64, 128),
            "pretrained_cfg_overlay": {"input_size": (3, 64, 64)},
        },
        what="resnet18 with one block of 16 to 128 channels a stage, trained on CIFAR-10 at 64 "
        "pixels",
    ),
    "residual_attention": Backbone(
        timm_name="residual_attention_56_cifar_small", size=32, roles=("refine", "replace_conv"),
        at={"refine": "stages", "replace_conv": "stages.*.1.pre.*.conv2"},
        mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616),
        what="residual_attention_56_cifar_small with the weights that come with the zoo",
    ),
    "cifar_vit": Backbone(
        timm_name="vit_tiny_patch16_224", size=32, roles=("replace_mixer",),
        options={
            "num_classes": 10, "img_size": 32, "patch_size": 4, "embed_dim": 64, "depth": 3,
            "num_heads": 2, "class_token": False, "global_pool": "avg",
        },
        what="vit with 3 blocks of 64 channels on 8x8 patches, trained on CIFAR-10",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Where images come from: a folder of photographs, one a class, and that of CIFAR-10."""

    photographs: Path | None
    cifar: Path | None

    def split(self, backbone: Backbone, order: int) -> tuple[Images, Images]:
        """(images to tune on, images held out), as the order draws them."""
        if backbone.images == "photographs":
            assert self.photographs is not None
            return _split_photographs(self.photographs, backbone.size, order)
        assert self.cifar is not None
        ours, theirs = (cifar(self.cifar, name, USED) for name in ("train", "test"))
        return ours, _some(theirs, order)

    def batches(self, backbone: Backbone, order: int) -> Iterator[Images]:
        """Batches of 16 without end, half of the images mirrored, always the same for an order."""
        (images, labels), _ = self.split(backbone, order)
        random = torch.Generator().manual_seed(order)
        while True:
            for some in torch.randperm(len(images), generator=random).split(BATCH):
                if len(some) == BATCH:
                    mirrored = torch.rand(BATCH, generator=random) < 0.5
                    x = prepared(images[some], backbone)
                    yield torch.where(mirrored[:, None, None, None], x.flip(3), x), labels[some]

    def held_out(self, backbone: Backbone, order: int) -> Images:
        """The images that are measured by; photographs also mirrored, since there are few."""
        _, (images, labels) = self.split(backbone, order)
        x = prepared(images, backbone)
        if backbone.images == "photographs":
            return torch.cat((x, x.flip(3))), labels.repeat(2)
        return x, labels


def _split_photographs(folder: Path, size: int, order: int) -> tuple[Images, Images]:
    """Half of the photographs each; no class is in both, so what is held out is what is kept."""
    images, labels = photographs(folder, size)
    shuffled = torch.randperm(len(images), generator=torch.Generator().manual_seed(order))
    ours, theirs = shuffled.tensor_split(2)
    return (images[ours], labels[ours]), (images[theirs], labels[theirs])


def _some(images: Images, order: int) -> Images:
    chosen = torch.randperm(len(images[0]), generator=torch.Generator().manual_seed(order))
    return images[0][chosen[:HELD_OUT]], images[1][chosen[:HELD_OUT]]


@cache
def photographs(folder: Path, size: int) -> Images:
    """All of them, as timm prepares them, with the number of their class in ImageNet-1k."""
    transform: Any = create_transform(
        (3, size, size), crop_pct=0.875, interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3
    )
    number = {name: i for i, name in enumerate(ImageNetInfo("imagenet-1k").label_names())}
    found = ImageFolder(folder)
    images = torch.stack([transform(found[i][0].convert("RGB")) for i in range(len(found))])
    names = [path.parent.name for path in sorted(folder.glob("*/*"))]
    return images, torch.tensor([number[name] for name in names])


@cache
def cifar(folder: Path, split: str, most: int = 50_000) -> Images:
    """The first images of a split of CIFAR-10, as bytes (N, 3, 32, 32)."""
    import numpy as np

    found = Parquet(folder, split)
    count = min(most, len(found))
    images = np.stack([np.asarray(found[i][0]) for i in range(count)])
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.tensor(found.labels[:count])


def prepared(images: Tensor, backbone: Backbone) -> Tensor:
    """Bytes as the backbone takes them, at its size; photographs are so already."""
    if images.is_floating_point():
        return images
    mean, std = (torch.tensor(v)[:, None, None] for v in (backbone.mean, backbone.std))
    images = (images.float() / 255 - mean) / std
    size = backbone.size
    return (
        images
        if images.shape[-1] == size
        else nn.functional.interpolate(images, size=size, mode="bilinear", align_corners=False)
    )


@torch.no_grad()
def accuracy(model: nn.Module, images: Images) -> tuple[float, float]:
    """Top-1 in per cent and the mean cross-entropy, in evaluation mode."""
    model.eval()
    logits = torch.cat([model(x) for x in images[0].split(64)])
    right = (logits.argmax(1) == images[1]).float().mean().item()
    return 100 * right, nn.functional.cross_entropy(logits, images[1]).item()


def train(name: str, folder: Path, epochs: int) -> nn.Module:
    """A small network on CIFAR-10: shifted and mirrored images, AdamW, one cycle."""
    torch.manual_seed(0)
    backbone = BACKBONES[name]
    model = backbone.plain()
    images, labels = cifar(folder, "train")
    steps = len(images) // 128 * epochs
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    start = time.monotonic()
    for step in range(steps):
        some = torch.randint(len(images), (128,))
        x = prepared(_shifted(images[some]), backbone)
        loss = nn.functional.cross_entropy(model.train()(x), labels[some], label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            print(step, steps, f"{loss.item():.3f} {time.monotonic() - start:.0f} s", flush=True)
    return model


def _shifted(images: Tensor) -> Tensor:
    x = nn.functional.pad(images, (4, 4, 4, 4))
    row, column = torch.randint(9, (2,)).tolist()
    x = x[:, :, row : row + 32, column : column + 32]
    return x.flip(3) if torch.rand(()) < 0.5 else x


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("name", choices=[n for n, b in BACKBONES.items() if b.images == "cifar"])
    parser.add_argument("--cifar", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--epochs", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = train(given.name, given.cifar, given.epochs)
    given.cache.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), given.cache / f"{given.name}.safetensors")
    images, labels = cifar(given.cifar, "test")
    print(accuracy(model, (prepared(images, BACKBONES[given.name]), labels)))


if __name__ == "__main__":
    main()
