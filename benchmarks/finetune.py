"""Fine-tuning by `zoo train` and by a plain loop of timm's parts, with the same settings.

    python benchmarks/finetune.py --data cifar10 --weights tf_efficientnet_lite0.safetensors

The loop follows timm's `train.py`: `create_loader`, `create_optimizer_v2`, `create_scheduler_v2`,
label smoothing, clipping. Both sides train the same backbone from the same weights on the same
files, as often as there are seeds, one after the other; then come the accuracy on the same
validation files and the images a second, from the first step to the last with the reading of files;
and the CPU time of the whole run, workers, measuring and saving included, which other programs on
the machine hardly change.
What is drawn at random differs, so accuracies agree within noise only.

`timm` starts its new classifier by `reset_classifier`, as large as the zoo's. `timm_own_start` is
the loop with the classifier that `timm.create_model(num_classes=...)` draws, which in an
EfficientNet is eleven times as large and costs accuracy in a short training.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from timm.data import ImageDataset, create_loader
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import dispatch_clip_grad, random_seed

from zoo.data.resolve import open_data
from zoo.evaluation.record import versions
from zoo.recipes import Recipe, finetune_recipe
from zoo.training.run import train

BACKBONE = "tf_efficientnet_lite0"


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        data = write_folder(Path(folder) / "data", options)
        rows: list[dict[str, Any]] = []
        for seed in range(options.seeds):
            recipe = finetune_recipe(
                BACKBONE, data, seed=seed, epochs=options.epochs, batch_size=options.batch_size,
                size=options.size, weights=str(options.weights), keep="last",
            )  # fmt: skip
            for side, run in SIDES.items():
                before = sum(os.times()[:4])  # of this process and of the workers that ended
                found = run(recipe, data, options)
                cpu = sum(os.times()[:4]) - before
                rows.append({"side": side, "seed": seed, **found, "cpu_seconds": cpu})
                print(json.dumps(rows[-1]), flush=True)
                write(options, rows)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="a data set, as for zoo eval --data")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--train-images", type=int, default=600)
    parser.add_argument("--val-images", type=int, default=300)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    return parser.parse_args()


def write_folder(folder: Path, options: argparse.Namespace) -> Path:
    """The first images of each split as PNG files, a folder for each class."""
    for split, count, asked in (
        ("train", options.train_images, "train"), ("val", options.val_images, "test"),
    ):  # fmt: skip
        images = open_data(options.data, asked)
        for number in range(count):
            image, label = images[number]
            path = folder / split / f"class{label}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
    return folder


def by_zoo(recipe: Recipe, data: Path, options: argparse.Namespace) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as out:
        trainer = train(recipe, Path(out), data=data, workers=options.workers)
    images = trainer.total_steps * recipe.batch_size
    return {
        "top1": 100 - trainer.curve[-1]["val_error"],
        "images_per_second": images / trainer.seconds,
    }


def by_timm(
    recipe: Recipe, data: Path, options: argparse.Namespace, own_start: bool = False
) -> dict[str, float]:
    random_seed(recipe.seed)
    assert recipe.images and recipe.schedule
    train_set, val_set = (ImageDataset(str(data / split)) for split in ("train", "val"))
    model = timm.create_model(BACKBONE, num_classes=len(train_set.reader.class_to_idx))
    state = load_file(options.weights)
    head = model.pretrained_cfg["classifier"]
    model.load_state_dict({k: v for k, v in state.items() if not k.startswith(head)}, strict=False)
    if not own_start:
        model.reset_classifier(model.num_classes)
    model = model.to(memory_format=torch.channels_last)
    config = timm.data.resolve_data_config({"input_size": (3, options.size, options.size)},
                                           model=model)  # fmt: skip
    shared = {
        "input_size": config["input_size"], "mean": config["mean"], "std": config["std"],
        "batch_size": recipe.batch_size, "num_workers": options.workers,
        "device": torch.device("cpu"), "persistent_workers": False,
    }  # fmt: skip
    loader = create_loader(
        train_set, is_training=True, scale=recipe.images.scale, ratio=recipe.images.ratio,
        hflip=recipe.images.hflip, color_jitter=None, interpolation="random", **shared,
    )  # fmt: skip
    measured = create_loader(
        val_set, interpolation=config["interpolation"], crop_pct=config["crop_pct"], **shared
    )
    optimizer = create_optimizer_v2(
        model, opt=recipe.optimizer.name, lr=recipe.optimizer.lr,
        weight_decay=recipe.optimizer.weight_decay,
    )  # fmt: skip
    schedule, _ = create_scheduler_v2(
        optimizer, sched=recipe.schedule.name, num_epochs=recipe.epochs,
        warmup_epochs=int(recipe.schedule.warmup_epochs), warmup_lr=recipe.schedule.warmup_lr,
        min_lr=recipe.schedule.min_lr, step_on_epochs=False, updates_per_epoch=len(loader),
    )  # fmt: skip
    loss_of = LabelSmoothingCrossEntropy(recipe.objective["label_smoothing"])
    step, seconds, top1 = 0, 0.0, 0.0
    for _ in range(recipe.epochs):
        model.train()
        start = time.perf_counter()
        for images, targets in loader:
            images = images.contiguous(memory_format=torch.channels_last)
            loss = loss_of(model(images), targets)
            optimizer.zero_grad()
            loss.backward()
            dispatch_clip_grad(model.parameters(), recipe.optimizer.clip_norm)
            optimizer.step()
            step += 1
            schedule.step_update(step)
        seconds += time.perf_counter() - start
        top1 = accuracy(model, measured)
    return {"top1": top1, "images_per_second": step * recipe.batch_size / seconds}


def accuracy(model: torch.nn.Module, loader: Any) -> float:
    right = count = 0
    model.eval()
    with torch.inference_mode():
        for images, targets in loader:
            right += int((model(images).argmax(-1) == targets).sum())
            count += len(targets)
    return 100 * right / count


def write(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    settings = {k: v for k, v in vars(options).items() if k not in ("out", "weights", "data")}
    content = {
        "model": BACKBONE, "data": Path(options.data).name, "settings": settings,
        "threads": torch.get_num_threads(), "cores": os.cpu_count(), "versions": versions(),
        "summary": {side: summary(rows, side) for side in SIDES}, "runs": rows,
    }  # fmt: skip
    options.out.write_text(json.dumps(content, indent=1) + "\n")


def summary(rows: list[dict[str, Any]], side: str) -> dict[str, float]:
    own = [row for row in rows if row["side"] == side]
    if not own:
        return {}
    top1 = [row["top1"] for row in own]
    return {
        "top1": statistics.mean(top1),
        "top1_deviation": statistics.stdev(top1) if len(own) > 1 else 0.0,
        "images_per_second": statistics.median(row["images_per_second"] for row in own),
        "cpu_seconds": statistics.median(row["cpu_seconds"] for row in own),
    }


SIDES = {"zoo": by_zoo, "timm": by_timm, "timm_own_start": partial(by_timm, own_start=True)}

if __name__ == "__main__":
    main()
