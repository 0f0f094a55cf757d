"""A RAM training step, vectorised glimpses against the usual loop over samples.

    python benchmarks/ram_step.py [--batch-size 128] [--rounds 15] [--device cpu]

Both networks are the same in all but the crop; their steps alternate, and medians are compared.
Writes benchmarks/ram_step.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from zoo_plugins.recurrent.reinforce import Reinforce
from zoo_plugins.recurrent.retina import locate

import zoo

SETTINGS = {
    "28x28, one 8x8 patch": (28, {"patch_size": 8, "num_patches": 1}),
    "60x60, three 12x12 patches": (60, {"patch_size": 12, "num_patches": 3}),
    "224x224, three 12x12 patches": (224, {"patch_size": 12, "num_patches": 3}),
    "224x224, three 32x32 patches": (224, {"patch_size": 32, "num_patches": 3}),
}


def looped_retina(sides: tuple[int, ...]):
    """What ports of RAM do: pad the batch for each patch size, then slice sample by sample."""

    def retina(image: Tensor, location: Tensor, sums: None) -> Tensor:
        corners = locate(location, (image.shape[-2], image.shape[-1]))
        patches = []
        for side in sides:
            padded = F.pad(image, (side // 2,) * 4)
            ends = corners + side
            crops = []
            for i in range(len(image)):
                rows = slice(corners[i, 1], ends[i, 1])
                crops.append(padded[i, :, rows, corners[i, 0] : ends[i, 0]])
            patch = torch.stack(crops)
            if side != sides[0]:
                patch = F.avg_pool2d(patch, side // sides[0])
            patches.append(patch.flatten(1))
        return torch.cat(patches, 1)

    return retina


def build(options: dict[str, int], looped: bool, device: str):
    """A step function of one network."""
    torch.manual_seed(0)
    model: nn.Module = zoo.create_model("ram_28", num_glimpses=6, **options).to(device).train()
    if looped:
        model.sensor.retina = looped_retina(model.sensor.sides)
    objective = Reinforce(model)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)

    def step(images: Tensor, targets: Tensor) -> float:
        torch.manual_seed(1)
        loss, _ = objective(images, targets, 0.5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def measure(size: int, options: dict[str, int], batch: int, rounds: int, device: str) -> dict:
    images = torch.rand(batch, 1, size, size, device=device)
    targets = torch.randint(10, (batch,), device=device)
    steps = {"vectorised": build(options, False, device), "looped": build(options, True, device)}
    losses = {name: step(images, targets) for name, step in steps.items()}
    assert abs(losses["vectorised"] - losses["looped"]) < 1e-3, losses
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            wall, cpu = time.perf_counter(), time.process_time()
            step(images, targets)
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    row = {
        f"{name}_{kind}_ms": round(1e3 * statistics.median(t[i] for t in taken), 2)
        for name, taken in times.items()
        for i, kind in enumerate(("wall", "cpu"))
    }
    for kind in ("wall", "cpu"):
        row[f"ratio_{kind}"] = round(row[f"looped_{kind}_ms"] / row[f"vectorised_{kind}_ms"], 2)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    rows = {}
    for name, (size, options) in SETTINGS.items():
        rows[name] = measure(size, options, args.batch_size, args.rounds, args.device)
        print(name, rows[name])
    record = {
        "batch_size": args.batch_size, "rounds": args.rounds, "device": args.device,
        "threads": torch.get_num_threads(), "machine": platform.machine(),
        "torch": torch.__version__, "steps": rows,
    }  # fmt: skip
    args.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
