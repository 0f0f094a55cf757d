"""The paper's ablations with one recipe: what is learnt, which mask, and wrong labels.

    python benchmarks/residual_ablation.py RECIPE --data DIR [--epochs N] [--only NAME ...]

Each row trains the recipe's network with one setting changed, for so many epochs, and reports the
error on the images held out: 5,000 of the training set, whose labels are right. The trunk alone is
a ResNet of the same depth; beside it under wrong labels stands the paper's ResNet-164. The paper's
figures (arXiv 1704.06904, section 4.1) are of its own, larger networks, fully trained, on the test
set. Rows already in --out are kept.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from zoo.recipes import Recipe, read_recipe
from zoo.runtime.files import write_atomically
from zoo.training.run import train

NOISE = {10: (5.15, 5.93), 30: (5.79, 6.61), 50: (7.27, 8.35), 70: (15.75, 17.21)}
# name: (options of the network, share of wrong labels, the paper's error)
ROWS: dict[str, tuple[dict[str, Any], float, float | None]] = {
    "ARL, mixed": ({}, 0.0, 5.52),
    "NAL, mixed": ({"learning": "nal"}, 0.0, 5.89),
    "ARL, channel": ({"mask": "channel"}, 0.0, 6.24),
    "ARL, spatial": ({"mask": "spatial"}, 0.0, 6.33),
    "trunk alone": ({"mask": "none"}, 0.0, None),
    **{f"{n} % wrong labels": ({}, n / 100, NOISE[n][0]) for n in NOISE},
    **{f"trunk alone, {n} % wrong labels": ({"mask": "none"}, n / 100, NOISE[n][1]) for n in NOISE},
}


def changed(recipe: Recipe, row: str, epochs: int) -> Recipe:
    """The recipe with one setting changed."""
    options, noise, _ = ROWS[row]
    recipe = replace(
        recipe, epochs=epochs, validate_every=epochs, data=replace(recipe.data, label_noise=noise)
    )
    return replace(recipe, model_options={**recipe.model_options, **options})


def measure(
    recipe: Recipe, row: str, epochs: int, data: Path | None, device: str
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        trainer = train(changed(recipe, row, epochs), Path(folder), data=data, device=device)
    last = trainer.curve[-1]
    return {
        "row": row, "epochs": epochs, "model": trainer.recipe.model,
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
        "held_out_error": round(last["val_error"], 2), "train_error": round(last["train_error"], 2),
        "paper_error": ROWS[row][2], "seconds": round(trainer.seconds),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=ROWS, default=list(ROWS))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    recipe = read_recipe(given.recipe)
    rows = json.loads(given.out.read_text())["rows"] if given.out.exists() else []
    for name in given.only:
        if any(row["row"] == name and row["epochs"] == given.epochs for row in rows):
            continue
        rows.append(measure(recipe, name, given.epochs, given.data, given.device))
        print(rows[-1], flush=True)
        table = {"recipe": given.recipe.name, "seed": recipe.seed, "rows": rows}
        write_atomically(given.out, (json.dumps(table, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
