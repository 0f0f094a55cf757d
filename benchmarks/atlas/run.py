"""Train what the atlas lacks, one run after the other; stopped at any moment, it goes on.

    python benchmarks/atlas/run.py --data DIR --out FOLDER [--study NAME ...]

`DIR` holds CIFAR-10, and `FOLDER` receives a folder for each study.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from studies import studies  # noqa: E402  # pyright: ignore[reportMissingImports]

from zoo.compare.folder import Folder  # noqa: E402
from zoo.compare.unit import Loaded, run  # noqa: E402
from zoo.training.data import Images, training_data  # noqa: E402
from zoo.training.recipe import Recipe  # noqa: E402

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # what the backbone states of its input


def load(recipe: Recipe, root: Path) -> Loaded:
    test = replace(recipe.data, splits=["test"], holdout=0)
    images = training_data(replace(recipe, data=test), root).train
    assert isinstance(images, Images)
    return Loaded(training_data(recipe, root), images, IMAGENET)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--study", nargs="*")
    given = parser.parse_args()
    torch.set_num_threads(1)
    chosen = {n: s for n, s in studies().items() if given.study is None or n in given.study}
    data = load(next(iter(chosen.values())).recipe, given.data)
    for name, study in chosen.items():
        folder = Folder(given.out / name)
        folder.claim(study)
        for arm, seed in study.runs():
            if folder.done(arm, seed):
                continue
            found = run(study.recipe, arm, seed, data, folder.checkpoint(arm, seed))
            folder.add(arm, seed, found)
            print(time.strftime("%F %T"), name, found, flush=True)


if __name__ == "__main__":
    main()
