"""Where the time of `zoo eval` goes, in CPU milliseconds for one photograph, and what bounds it.

    python benchmarks/eval_parts.py DIR --json benchmarks/eval_parts.json

DIR holds photographs, a folder a class. Reading, resizing and normalising; then the forward pass
in each form, 32 images a batch: the model as it is in one batch (as timm's loop runs it), and the
zoo's forms in the parts that it takes. `product` is what the multiplications of the model would
cost at the rate of a large matrix product measured in the same run. Medians of alternating rounds.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in zoo/cli/eval.py; read with torch
sys.path.insert(0, str(Path(__file__).parent))

import torch  # noqa: E402
from decoding import milliseconds, pillow, show  # noqa: E402
from eval_throughput import MODELS, build  # noqa: E402

from zoo.data.preprocessing import Preprocessing, ToPixels  # noqa: E402
from zoo.evaluation.fold import Watch, share_tensors  # noqa: E402
from zoo.evaluation.forms import FOLDED, FUSED, bring  # noqa: E402
from zoo.evaluation.predictor import LARGEST_MAP  # noqa: E402
from zoo.runtime.multiplications import count_macs  # noqa: E402

BATCH, SIDE = 32, 1024


def timed(steps: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """CPU milliseconds of each step, for one image of a batch."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            start = time.process_time()
            step()
            taken[name] += [(time.process_time() - start) * 1000 / BATCH] if turn else []
    return {name: median(times) for name, times in taken.items()}


def passes(name: str, rounds: int) -> dict[str, Any]:
    """The forward pass of a model in each form."""
    model = build(name)
    settings = Preprocessing.of(model)
    pixels = torch.randint(0, 256, (BATCH, *settings.input_size[1:], 3), dtype=torch.uint8)
    x = settings.normalise(pixels)
    with torch.no_grad(), Watch(model) as watch:
        model(x[:2])
    part, twins = max(1, LARGEST_MAP * 2 // watch.seen.largest), {}
    for form in (FOLDED, FUSED):
        twins[form] = share_tensors(model)
        bring(twins[form], form, watch.seen)
    matrix, nchw = torch.randn(SIDE, SIDE), x.contiguous()
    with torch.inference_mode():
        times = timed(
            {
                "normalise": lambda: settings.normalise(pixels),
                "as it is": lambda: model(nchw),
                FOLDED: lambda: [twins[FOLDED](images) for images in x.split(part)],
                FUSED: lambda: [twins[FUSED](images) for images in x.split(part)],
                "product": lambda: [matrix @ matrix for _ in range(BATCH)],
            },
            rounds,
        )
        macs = count_macs(lambda: model(nchw[:1]))[0]
    times["product"] *= macs / SIDE**3
    return {"model": name, "macs": macs, "part": part, "milliseconds": times}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    files = [file.read_bytes() for file in sorted(args.data.glob("*/*")) if file.is_file()]
    images = [pillow(content) for content in files]
    resize = ToPixels(Preprocessing(input_size=(3, 224, 224), mean=(0.5,) * 3, std=(0.5,) * 3))
    reading = milliseconds(
        {"read": lambda i: pillow(files[i]), "resize": lambda i: resize(images[i])},
        len(files), args.rounds,
    )  # fmt: skip
    rows = [passes(name, args.rounds) for name in args.models]
    result = {"rounds": args.rounds, "load": os.getloadavg(), "images": reading, "rows": rows}
    show(result, args.json)


if __name__ == "__main__":
    main()
