"""`zoo eval` against timm's own validate loop on a folder of photographs, end to end.

    python benchmarks/eval_throughput.py DIR [--models resnet50 se_resnet50 mobilenetv3_small_100]

Each side is a process of its own, in the environment that its users have (the zoo's command lets
waiting threads sleep; `--same-environment` gives timm's loop that too). Rounds alternate.

What is in the time of a round: opening the folder, starting the decoding workers, decoding,
resizing, the forward passes, and all that a side does of its own, up to the last logits; for the
zoo also the digest of the weights by which the fast form is remembered. What is not: imports and
building the model (their CPU seconds are in the record), and checking the fast form, which is done
once for a model on a machine (in the first pass of each side, over `--warm` photographs).

`wall` is the time that passed. `cpu` is what all processes of a side used, and says more on a
machine that others use too. Only ratios of medians are worth comparing between machines. Weights
are random, norms are not trivial. A folder with fewer than `--images` photographs is read
repeatedly, through links.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}  # as in zoo/cli/eval.py
MODELS = ("resnet50", "se_resnet50", "mobilenetv3_small_100")


def build(name: str) -> Any:
    """The same random model on either side."""
    import torch
    from torch import nn

    import zoo

    torch.manual_seed(0)
    model = zoo.create_model(name).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.running_mean, std=0.2)
    return model


def timm_round(model: Any, args: argparse.Namespace, limit: int | None) -> Any:
    """timm's validate.py: default collation on the CPU, no channels-last, the model as it is."""
    import torch
    from timm.data import create_dataset, create_loader, resolve_data_config

    config = resolve_data_config({}, model=model)
    loader = create_loader(
        create_dataset("", args.data, split="validation"),
        input_size=config["input_size"],
        batch_size=args.batch_size,
        use_prefetcher=args.prefetcher,
        interpolation=config["interpolation"],
        mean=config["mean"],
        std=config["std"],
        num_workers=args.workers,
        crop_pct=config["crop_pct"],
        crop_mode=config["crop_mode"],
        device=torch.device("cpu"),
    )
    batches = itertools.islice(loader, limit and -(-limit // args.batch_size))
    with torch.inference_mode():
        return torch.cat([model(images) for images, _ in batches])


def zoo_round(model: Any, args: argparse.Namespace, limit: int | None) -> Any:
    import torch

    from zoo.evaluation import evaluate, open_data

    seen: list[Any] = []
    data = open_data(args.data, num_classes=model.num_classes)
    evaluate(
        model, data, device="cpu", batch_size=args.batch_size, workers=args.workers,
        progress=False, remember=True, limit=limit,
        sink=lambda indices, logits, labels: seen.append(logits),
    )  # fmt: skip
    return torch.cat(seen)


def repeated(folder: Path, count: int, out: Path) -> int:
    """Links to `count` photographs below `folder`, each as often as it takes; how many differ."""
    files = sorted(file for file in folder.resolve().glob("*/*") if file.is_file())
    for number, file in zip(range(count), itertools.cycle(files), strict=False):
        place = out / file.parent.name / f"{number // len(files)}_{file.name}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file)
    return min(count, len(files))


def cpu_seconds() -> float:
    """Of this process and of its workers that have ended."""
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


def serve(args: argparse.Namespace) -> None:
    """One side: a round for each line on stdin; the last logits are saved."""
    import torch

    model = build(args.models[0])
    one_round = {"timm": timm_round, "zoo": zoo_round}[args.serve]
    print(json.dumps(cpu_seconds()), flush=True)
    one_round(model, args, args.warm)
    print("ready", flush=True)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), cpu_seconds()
        logits = one_round(model, args, None)
        wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
        torch.save(logits, line.strip())
        print(json.dumps({"wall": wall, "cpu": cpu, "images": len(logits)}), flush=True)


class Side:
    """A process that runs rounds when told to."""

    def __init__(self, kind: str, model: str, args: argparse.Namespace) -> None:
        command = [sys.executable, __file__, args.data, "--serve", kind, "--models", model]
        command += [
            "--warm",
            str(args.warm),
            "--batch-size",
            str(args.batch_size),
            "--workers",
            str(args.workers),
        ]
        command += ["--prefetcher"] if args.prefetcher else []
        extra = PASSIVE if kind == "zoo" or args.same_environment else {}
        self.process = subprocess.Popen(
            command, env={**os.environ, **extra}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.rounds: list[dict[str, float]] = []
        assert self.process.stdout is not None
        self.start = float(self.process.stdout.readline() or "nan")
        if self.process.stdout.readline().strip() != "ready":
            raise SystemExit(f"{kind} did not start")

    def round(self, logits: Path) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        print(logits, file=self.process.stdin, flush=True)
        self.rounds.append(json.loads(self.process.stdout.readline()))

    def median(self, key: str) -> float:
        return median(taken[key] for taken in self.rounds)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def compare(model: str, args: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Alternating rounds of both sides."""
    import torch

    sides = {kind: Side(kind, model, args) for kind in ("timm", "zoo")}
    for _ in range(args.rounds):
        for kind, side in sides.items():
            side.round(scratch / f"{kind}.pt")
    for side in sides.values():
        side.close()
    ours, theirs = (torch.load(scratch / f"{kind}.pt") for kind in ("zoo", "timm"))
    return {
        "model": model,
        "images": len(ours),
        "wall_ratio": sides["timm"].median("wall") / sides["zoo"].median("wall"),
        "cpu_ratio": sides["timm"].median("cpu") / sides["zoo"].median("cpu"),
        **{f"{kind}_start_cpu_seconds": side.start for kind, side in sides.items()},
        **{f"{kind}_rounds": side.rounds for kind, side in sides.items()},
        **{f"{kind}_{key}_seconds": s.median(key) for kind, s in sides.items() for key in KEYS},
        "largest_logit": float(theirs.abs().max()),
        "largest_difference": float((ours - theirs).abs().max()),
        "same_top1": bool(torch.equal(ours.argmax(1), theirs.argmax(1))),
    }


KEYS = ("wall", "cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="folder of photographs, a folder a class (WordNet ids)")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--warm", type=int, default=32, help="photographs of the first pass")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prefetcher", action="store_true", help="timm's loop with its prefetcher")
    parser.add_argument("--same-environment", action="store_true")
    parser.add_argument("--json", metavar="FILE", help="write the rows as JSON")
    parser.add_argument("--serve", choices=("timm", "zoo"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args)
        return
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as scratch:
        photographs = repeated(Path(args.data), args.images, Path(scratch) / "photographs")
        args.data = str(Path(scratch) / "photographs")
        os.environ["ZOO_CACHE"] = scratch  # so that every run checks the fast form once
        rows = [compare(model, args, Path(scratch)) for model in args.models]
    print("| model | wall, times faster | CPU, times less | largest difference | same top-1 |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['model']} | {row['wall_ratio']:.2f} | {row['cpu_ratio']:.2f} "
            f"| {row['largest_difference']:.1e} | {row['same_top1']} |"
        )
    if args.json:
        settings = {k: v for k, v in vars(args).items() if k not in ("data", "serve", "json")}
        result = {
            "settings": settings,
            "photographs": photographs,
            "load": os.getloadavg(),
            "rows": rows,
        }
        Path(args.json).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
