"""RAM's training step and evaluation: vectorised glimpses, the usual loop over samples, compiled.

    python benchmarks/ram_step.py [--batch-size 128] [--rounds 15] [--device cpu] [--no-compile]

The networks are the same in all but the crop; their steps alternate, and medians are compared.
Evaluation is one pass of the mean policy. With it, the multiplications of each network on one
image (multiply-accumulates of matrix products, half of `torch.utils.flop_counter`; cropping and
averaging have none) beside those of `cnn2_mnist` at the same size. Writes benchmarks/ram_step.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from zoo_plugins.mechanisms.hard.retina import locate
from zoo_plugins.networks.ram.reinforce import Reinforce

import zoo
from zoo.runtime.files import write_atomically

Step = Callable[[Tensor, Tensor], float]


@dataclass(frozen=True, slots=True)
class Setting:
    """A size of image and a RAM to look at it."""

    size: int
    patch_size: int
    num_patches: int
    num_glimpses: int = 6

    def build(self) -> nn.Module:
        options = asdict(self)
        del options["size"]
        return zoo.create_model("ram_28", mc_samples=1, **options)


SETTINGS = {
    "28x28, one 8x8 patch": Setting(28, 8, 1),
    "60x60, three 12x12 patches": Setting(60, 12, 3),
    "100x100, four 12x12 patches, 8 glimpses": Setting(100, 12, 4, 8),
    "224x224, three 12x12 patches": Setting(224, 12, 3),
    "224x224, three 32x32 patches": Setting(224, 32, 3),
}


def looped_retina(sides: tuple[int, ...]):
    """What ports of RAM do: pad the batch for each patch size, then slice sample by sample."""

    def retina(image: Tensor, location: Tensor, integral: None) -> Tensor:
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


def network(setting: Setting, way: str, device: str) -> nn.Module:
    torch.manual_seed(0)
    model = setting.build().to(device)
    if way == "looped":
        model.sensor.retina = looped_retina(model.sensor.sides)
        model.sensor.prepare = lambda image, glimpses: None
    if way == "compiled":
        model.rollout = torch.compile(model.rollout)
    return model


def training(model: nn.Module) -> Step:
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


def evaluation(model: nn.Module) -> Step:
    model.eval()

    def step(images: Tensor, targets: Tensor) -> float:
        with torch.inference_mode():
            return float(F.nll_loss(model(images), targets))

    return step


def measure(steps: dict[str, Step], images: Tensor, targets: Tensor, rounds: int) -> dict:
    """Medians of alternating steps. The first one, which compiles, also shows that all agree."""
    losses = [step(images, targets) for step in steps.values()]
    assert max(losses) - min(losses) < 1e-3, losses
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            wall, cpu = time.perf_counter(), time.process_time()
            step(images, targets)
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    row: dict[str, float] = {}
    for name, taken in times.items():
        wall, cpu = (statistics.median(column) for column in zip(*taken, strict=True))
        row[f"{name}_wall_ms"], row[f"{name}_cpu_ms"] = round(1e3 * wall, 2), round(1e3 * cpu, 2)
        row[f"{name}_images_per_second"] = round(len(images) / wall)
    for kind in ("wall", "cpu"):
        row[f"ratio_{kind}"] = round(row[f"looped_{kind}_ms"] / row[f"vectorised_{kind}_ms"], 2)
    return row


def multiplications(model: nn.Module, size: int) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(torch.rand(1, 1, size, size))
    return counter.get_total_flops() // 2


def record(setting: Setting, ways: tuple[str, ...], batch: int, rounds: int, device: str) -> dict:
    images = torch.rand(batch, 1, setting.size, setting.size, device=device)
    targets = torch.randint(10, (batch,), device=device)
    row = {}
    for name, phase in (("training_step", training), ("evaluation", evaluation)):
        torch.compiler.reset()
        steps = {way: phase(network(setting, way, device)) for way in ways}
        row[name] = measure(steps, images, targets, rounds)
    cnn = zoo.create_model("cnn2_mnist", img_size=setting.size)
    row["multiplications"] = multiplications(setting.build(), setting.size)
    row["multiplications_cnn2_mnist"] = multiplications(cnn, setting.size)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    ways = ("vectorised", "looped", *(("compiled",) if args.compile else ()))
    rows = {}
    for name, setting in SETTINGS.items():
        rows[name] = record(setting, ways, args.batch_size, args.rounds, args.device)
        print(name, rows[name], flush=True)
    found = {
        "batch_size": args.batch_size, "rounds": args.rounds, "device": args.device,
        "threads": torch.get_num_threads(), "machine": platform.machine(),
        "torch": torch.__version__, "settings": rows,
    }  # fmt: skip
    write_atomically(args.out, (json.dumps(found, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
