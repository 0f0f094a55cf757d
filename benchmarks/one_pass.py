"""What one pass of RAM errs, and costs, from a first glimpse at the centre and from anywhere.

    python benchmarks/one_pass.py [WEIGHTS ...] [--data MNIST_FOLDER] [--test]

The papers start at a random place; some of the bundled weights start near the centre. For the
weights of each RAM, on the digits that its recipe holds out:

    centre, mean        one pass of the mean policy from the centre
    anywhere, mean      one pass of the mean policy, the first glimpse uniform over the image
    anywhere, sampled   one pass of the sampled policy, the first glimpse uniform over the image
    averaged            the model's own prediction, the mean of `rollouts` sampled rollouts

The two that start anywhere are means over five passes, with the standard deviation of a pass.
Multiplications are those of one image. With --test it is the test set instead, which is used once,
when everything is chosen. Writes benchmarks/one_pass.json, of which docs/generate.py makes tables
in docs/results.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from torch import Tensor

import zoo
from zoo.data.resolve import open_data
from zoo.feeding.data import Images, training_data
from zoo.registry import default_registry
from zoo.runtime.files import write_atomically
from zoo.runtime.multiplications import count_macs

ROOT = Path(__file__).parents[1]
MODELS = ("ram_mnist", "ram_mnist_translated", "ram_mnist_cluttered60", "ram_mnist_cluttered100")
TAGS = ("zoo_mnist", "zoo_mnist_random_start")
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


def names() -> list[str]:
    """The bundled weights of each RAM on the papers' data."""
    known = default_registry().weights.values()
    bundled = {f"{spec.model}.{spec.tag}" for spec in known if spec.kind == "bundled"}
    return [f"{model}.{tag}" for model in MODELS for tag in TAGS if f"{model}.{tag}" in bundled]


def images(name: str, data: Path | None, test: bool) -> Images:
    """The digits that the recipe of these weights holds out, or its test set."""
    recipe = zoo.load_recipe(name).last
    if not test:
        return training_data(recipe, data).held_out
    items = open_data(recipe.data.name, "test")
    pixels, labels = zip(*(items[i] for i in range(len(items))), strict=True)
    stack = torch.stack([torch.from_numpy(np.array(image)) for image in pixels])
    return Images(stack[:, None], torch.tensor(labels))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="WEIGHTS")
    parser.add_argument("--data", type=Path, help="folder of MNIST's files")
    parser.add_argument("--test", action="store_true")
    settings = parser.parse_args()
    out = ROOT / "benchmarks/one_pass.json"
    record = json.loads(out.read_text("utf-8")) if out.exists() else {}
    rows = record.setdefault("test" if settings.test else "held_out", {})
    for name in settings.names or names():
        model = zoo.create_model(name, pretrained=True).eval()
        rows[name] = measure(model, images(name, settings.data, settings.test))
        print(name, rows[name], flush=True)
        write_atomically(out, f"{json.dumps(record, indent=1)}\n".encode())


if __name__ == "__main__":
    main()
