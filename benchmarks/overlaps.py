"""What DRAM errs on two digits, by how much of a digit lies on the other.

    python benchmarks/overlaps.py [WEIGHTS ...] [--data MNIST_FOLDER]

On the canvases of the paper, as its authors' generator makes them, each digit lands anywhere, also
on the other. For the canvases that the recipe of these weights holds out, this sorts the errors of
the model's own prediction by the share of a digit's 28 x 28 box that the other digit's box covers.
Writes benchmarks/overlaps.json, of which docs/generate.py makes a table in docs/results.md.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from zoo_plugins.datasets.canvases.draws import Draws

import zoo
from zoo.feeding.data import Images, training_data
from zoo.runtime.files import write_atomically

ROOT = Path(__file__).parents[1]
OUT = ROOT / "benchmarks/overlaps.json"
MODELS = ("dram_mnist_pairs_cluttered.zoo_mnist", "dram_mnist_addition_uniform.zoo_mnist")
EDGES = (0.0, 0.25, 0.4, 0.6, 1.0)  # the first row has less than the first share, 0: apart
SIDE = 28


@torch.inference_mode()
def wrong(model: Any, held_out: Images) -> Tensor:
    """(N,): whether the class of each canvas is wrong."""
    found = [model(each.images.float() / 255).argmax(-1) for each in held_out.batches()]
    return torch.cat(found).flatten() != held_out.labels


def covered(data: Any, seed: int, count: int) -> Tensor:
    """(N,): the share of a digit's box that the other's covers, on each held-out canvas."""
    index = torch.arange(count)  # the held-out digits are drawn in order, as epoch 0
    _, places = data.task.lay(data.digits, index, Draws(seed, 0, index))
    apart = (places[:, 0] - places[:, 1]).abs()
    return (SIDE - apart).clamp_min(0).prod(-1) / SIDE**2


def percent(chosen: Tensor) -> float:
    return round(100 * float(chosen.double().mean()), 2)


def row(share: Tensor, missed: Tensor) -> dict[str, float]:
    """Percent of the canvases, and percent of those wrong."""
    return {"canvases": percent(share), "error": percent(missed[share])}


def measure(name: str, root: Path | None) -> dict[str, Any]:
    """The errors of one model, whole and by overlap."""
    recipe = zoo.load_recipe(name).last
    data: Any = training_data(recipe, root)
    missed = wrong(zoo.create_model(name, pretrained=True).eval(), data.held_out)
    share = covered(data.train.data, recipe.data.holdout_seed, len(missed))
    rows = {"apart": row(share == 0, missed)}
    for low, high in pairwise(EDGES):
        rows[f"{low}-{high}"] = row((share > low) & (share <= high), missed)
    return {"images": len(missed), "error": percent(missed), "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="WEIGHTS", default=MODELS)
    parser.add_argument("--data", type=Path, help="folder of MNIST's files")
    settings = parser.parse_args()
    record = json.loads(OUT.read_text("utf-8")) if OUT.exists() else {}
    for name in settings.names or MODELS:
        record[name] = measure(name, settings.data)
        print(name, record[name], flush=True)
        write_atomically(OUT, f"{json.dumps(record, indent=1)}\n".encode())


if __name__ == "__main__":
    main()
