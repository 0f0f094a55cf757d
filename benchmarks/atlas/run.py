"""Train what the atlas lacks, one run after the other, and write its records and pictures.

    python benchmarks/atlas/run.py --data DIR --runs FOLDER [--study NAME ...] [--report]

`DIR` holds CIFAR-10, and `FOLDER` receives a folder for each study. Stopped at any moment, it goes
on when it is called again; what a study's record beside this file has is not trained again. With
`--report` nothing is trained: what is finished is written to `<study>.json` beside this file, and
its pictures to docs/pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from studies import studies  # noqa: E402  # pyright: ignore[reportMissingImports]

from zoo.compare.costs import costs, machine  # noqa: E402
from zoo.compare.design import Comparison  # noqa: E402
from zoo.compare.fitting import built  # noqa: E402
from zoo.compare.folder import Folder, described  # noqa: E402
from zoo.compare.plots import forest, pareto, save  # noqa: E402
from zoo.compare.report import report, setting  # noqa: E402
from zoo.compare.results import results  # noqa: E402
from zoo.compare.runner import Where, run_all  # noqa: E402
from zoo.runtime.files import write_atomically  # noqa: E402

KEPT = ("arm", "seed", "accuracy", "train_loss", "steps", "seconds")
SIZE = (3, 32, 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--study", nargs="*")
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    torch.set_num_threads(1)
    for name, study in studies().items():
        if given.study is not None and name not in given.study:
            continue
        restore(name, study, Folder(given.runs / name))
        if given.report:
            write(name, study, Folder(given.runs / name).runs())
        else:
            where = Where(folder=given.runs / name, data=given.data)
            run_all(study, where, ["cpu"], lambda found: print(found, flush=True))


def restore(name: str, study: Comparison, folder: Folder) -> None:
    """Put the record's runs into the folder, if they are of the same recipe and the same arms."""
    record = HERE / f"{name}.json"
    if not record.exists():
        return
    content, now = json.loads(record.read_text("utf-8")), described(study)
    folder.claim(study)
    if content["digest"] != now["digest"]:
        return
    arms = {arm.label: arm for arm in study.everything}
    for run in content["runs"]:
        label = run["arm"]
        same = label in arms and content["arms"][label] == now["arms"][label]
        if same and not folder.done(arms[label], run["seed"]):
            folder.add(arms[label], run["seed"], run)


def write(name: str, study: Comparison, runs: list[dict[str, Any]]) -> None:
    """The record of a study, with every run, and its pictures; nothing if it has no pair."""
    if not results(runs):
        return
    content = report(described(study), [_compact(run) for run in runs], _measured(study))
    write_atomically(HERE / f"{name}.json", (json.dumps(content, indent=1) + "\n").encode())
    found, title = results(content["runs"]), setting(content, content["runs"])
    pictures = ROOT / "docs" / "pictures"
    save(forest(found, content["runs"], title), pictures / f"atlas_{name}_forest")
    save(pareto(found, content["costs"], title), pictures / f"atlas_{name}_pareto")
    print(f"{name}: {len(runs)} runs\n{content['conclusion']}")


def _compact(run: Mapping[str, Any]) -> dict[str, Any]:
    return {key: run[key] for key in KEPT}


def _measured(study: Comparison) -> dict[str, Any]:
    models, unfit = built(study.recipe, study.everything, SIZE, None)
    assert not unfit, unfit
    device, size = torch.device("cpu"), study.recipe.batch_size
    return {"machine": machine(device, size), "costs": costs(models, SIZE, size, device)}


if __name__ == "__main__":
    main()
