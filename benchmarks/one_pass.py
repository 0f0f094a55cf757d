"""What one pass of RAM errs, and costs, from a first glimpse at the centre and from anywhere.

    python benchmarks/one_pass.py [--data MNIST_FOLDER] [--weights FILE --recipe RECIPE ...]

The papers start at a random place; the bundled models start near the centre. For the weights of
each RAM, on the digits that its recipe holds out (the test set is not touched):

    centre, mean        one pass of the mean policy from the centre
    anywhere, mean      one pass of the mean policy, the first glimpse uniform over the image
    anywhere, sampled   one pass of the sampled policy, the first glimpse uniform over the image
    averaged            the model's own prediction, the mean of `rollouts` sampled rollouts

The two that start anywhere are means over five passes, with the standard deviation of a pass.
Multiplications are those of one image. Writes benchmarks/one_pass.json, of which docs/generate.py
makes the table in docs/results.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

import zoo
from zoo.runtime.files import write_atomically
from zoo.runtime.multiplications import count_macs
from zoo.training.data import Images, training_data
from zoo.training.recipe import read_recipe

ROOT = Path(__file__).parents[1]
NAMES = (
    "ram_mnist", "ram_mnist_translated", "ram_mnist_cluttered60", "ram_mnist_cluttered100",
)  # fmt: skip
PASSES = 5
BATCH = 500


def batches(held_out: Images) -> Iterator[tuple[Tensor, Tensor]]:
    for index in torch.arange(len(held_out)).split(BATCH):
        yield held_out.images[index].float() / 255, held_out.labels[index]


def error(predict: Callable[[Tensor], Tensor], held_out: Images) -> float:
    """Percent of the held-out images whose class is wrong."""
    wrong = sum(int((predict(x).argmax(-1) != y).sum()) for x, y in batches(held_out))
    return 100 * wrong / len(held_out)


def anywhere(model: Any, generator: torch.Generator, sampled: bool) -> Callable[[Tensor], Tensor]:
    def predict(images: Tensor) -> Tensor:
        start = 2 * torch.rand(len(images), 2, generator=generator) - 1
        shape = (model.num_glimpses, len(images), 2)
        noise = torch.randn(shape, generator=generator) if sampled else None
        return model.rollout(images, start, noise).log_probs

    return predict


@torch.inference_mode()
def measure(model: Any, held_out: Images) -> dict[str, Any]:
    """All four errors of one model, in percent."""
    generator = torch.Generator().manual_seed(0)
    row: dict[str, Any] = {
        "images": len(held_out),
        "rollouts": model.mc_samples,
        "centre_mean": error(lambda x: model.rollout(x).log_probs, held_out),
        "averaged": error(model, held_out),
    }
    for kind, sampled in (("anywhere_mean", False), ("anywhere_sampled", True)):
        passes = [error(anywhere(model, generator, sampled), held_out) for _ in range(PASSES)]
        row[kind], row[f"{kind}_sd"] = mean(passes), stdev(passes)
    image = held_out.images[:1].float() / 255
    row["macs"], _ = count_macs(lambda: model.rollout(image))
    row["macs_averaged"], _ = count_macs(lambda: model(image))
    return row


def jobs(settings: argparse.Namespace) -> Iterator[tuple[str, Any, Any]]:
    """(name, model, recipe) of the bundled weights, or of a file that is given."""
    if settings.weights:
        yield settings.recipe.stem, zoo.create_model(settings.weights), read_recipe(settings.recipe)
        return
    for name in NAMES:
        model = zoo.create_model(name, pretrained=True)
        yield name, model, zoo.load_recipe(name).last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of MNIST's training files")
    parser.add_argument("--weights", help="a weights file in the place of the bundled ones")
    parser.add_argument("--recipe", type=Path, help="the recipe of that file")
    settings = parser.parse_args()
    out = ROOT / "benchmarks/one_pass.json"
    rows = json.loads(out.read_text("utf-8")) if out.exists() else {}
    for name, model, recipe in jobs(settings):
        rows[name] = measure(model.eval(), training_data(recipe, settings.data).held_out)
        print(name, rows[name], flush=True)
        write_atomically(out, f"{json.dumps(rows, indent=1)}\n".encode())


if __name__ == "__main__":
    main()
