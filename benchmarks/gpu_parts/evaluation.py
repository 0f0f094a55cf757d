"""Images a second: our evaluation, timm's loop of validation, and what the device could do."""

from __future__ import annotations

import io
import time
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from timm.data import create_loader, resolve_data_config
from timm.utils import accuracy
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import zoo
from gpu_parts.session import Session
from gpu_parts.timing import copy_milliseconds, forward, milliseconds
from zoo.evaluation import evaluate
from zoo.runtime.processes import cores

MODELS = ("resnet50", "se_resnet50", "cbam_resnet50", "vit_base_patch16_224")
COMPILED = ("resnet50", "se_resnet50", "eca_resnet50", "cbam_resnet50")
DRY_MODELS = ("se_resnet18",)
IMAGES, BATCH, JPEGS, SIZE = 4096, 256, 64, (500, 375)  # SIZE: about ImageNet's mean


class Photographs:
    """Synthetic JPEGs in memory, decoded when they are asked for. timm sets `transform`."""

    transform: Any = None

    def __init__(self, count: int, distinct: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.count = count
        self.files = [_jpeg(generator) for _ in range(distinct)]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Any, int]:
        if not 0 <= index < self.count:
            raise IndexError(index)
        image = Image.open(io.BytesIO(self.files[index % len(self.files)])).convert("RGB")
        return (self.transform(image) if self.transform else image), index % 1000


def _jpeg(generator: torch.Generator) -> bytes:
    """A smooth random picture: noise would take longer to decode than photographs do."""
    coarse = torch.randint(0, 256, (24, 32, 3), generator=generator, dtype=torch.uint8)
    file = io.BytesIO()
    picture = Image.fromarray(coarse.numpy()).resize(SIZE, Image.Resampling.BICUBIC)
    picture.save(file, "JPEG", quality=92)
    return file.getvalue()


def roofline(session: Session) -> None:
    """A bfloat16 matrix product, and a copy on the device."""
    n, elements = (64, 2**12) if session.dry else (8192, 2**29)
    a = torch.randn(n, n, device=session.device, dtype=torch.bfloat16)
    ms = milliseconds(session, lambda: a @ a)
    session.add(what="bfloat16 matrix product", size=n, tflops=2 * n**3 / ms / 1e9)
    x = torch.empty(elements, device=session.device, dtype=torch.bfloat16)
    ms = copy_milliseconds(session, x)
    session.add(what="copy", bytes=2 * x.nbytes, gb_per_second=2 * x.nbytes / ms / 1e6)


def rates(session: Session) -> None:
    """Our evaluation and timm's loop, end to end, and the network alone."""
    data = Photographs(8, 2) if session.dry else Photographs(IMAGES, JPEGS)
    for name in session.each(DRY_MODELS if session.dry else MODELS):
        session.attempt(partial(_rates, session, name, data), model=name)


def compiled(session: Session) -> None:
    """Compiled ResNets with and without attention: images a second of the network alone."""
    for name in session.each(DRY_MODELS if session.dry else COMPILED):
        session.attempt(partial(_compiled, session, name), model=name)


def _model(session: Session, name: str) -> nn.Module:
    torch.manual_seed(0)
    model = zoo.create_model(name).eval().to(session.device)
    return model.to(memory_format=torch.channels_last)


def _rates(session: Session, name: str, data: Photographs) -> dict[str, Any]:
    model = _model(session, name)
    batch, workers = (4, 0) if session.dry else (BATCH, cores())
    data.transform = None
    ours = [_zoo(session, model, data, batch, workers) for _ in range(2)][-1]
    theirs = [_timm(session, model, data, batch, workers) for _ in range(2)][-1]
    return {
        "images": len(data), "batch": batch, "workers": workers,
        "zoo_per_second": ours, "timm_per_second": theirs,
        "network_alone_per_second": _alone(session, model, batch),
        "flops_of_an_image": _flops(session, model),
    }  # fmt: skip


def _zoo(session: Session, model: nn.Module, data: Any, batch: int, workers: int) -> float:
    start = time.perf_counter()
    evaluate(model, data, device=session.device, batch_size=batch, workers=workers, progress=False)
    return len(data) / (time.perf_counter() - start)


def _timm(session: Session, model: nn.Module, data: Any, batch: int, workers: int) -> float:
    """timm's validate.py with --amp and --channels-last."""
    cuda = session.device.type == "cuda"
    config: dict[str, Any] = resolve_data_config({}, model=model)
    start, total = time.perf_counter(), 0.0
    loader = create_loader(
        data, input_size=config["input_size"], batch_size=batch, use_prefetcher=cuda,
        interpolation=config["interpolation"], mean=config["mean"], std=config["std"],
        num_workers=workers, crop_pct=config["crop_pct"], crop_mode=config["crop_mode"],
        pin_memory=cuda, device=session.device,
    )  # fmt: skip
    with torch.inference_mode():
        for images, labels in loader:
            images = images.to(memory_format=torch.channels_last)
            with torch.autocast(session.device.type, torch.float16, enabled=cuda):
                logits = model(images)
            total += F.cross_entropy(logits, labels).item()
            accuracy(logits, labels, topk=(1, 5))
    return len(data) / (time.perf_counter() - start)


def _alone(session: Session, model: Any, batch: int) -> float:
    x = torch.randn(batch, 3, 224, 224, device=session.device)
    x = x.to(memory_format=torch.channels_last)
    with torch.autocast(session.device.type, torch.bfloat16):
        return 1e3 * batch / milliseconds(session, forward(model, x))


def _flops(session: Session, model: nn.Module) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.randn(1, 3, 224, 224, device=session.device))
    return counter.get_total_flops()


def _compiled(session: Session, name: str) -> dict[str, Any]:
    torch.compiler.reset()
    model = torch.compile(_model(session, name), backend=session.backend)
    batch = 2 if session.dry else BATCH
    return {"batch": batch, "network_alone_per_second": _alone(session, model, batch)}
