"""The folder of a comparison: what is compared, and a file for each finished run. No torch.

```
comparison.json     the recipe, the arms, the seeds
runs/               <arm>.<seed>.json: finished runs, each written as a whole
unfinished/         <arm>.<seed>/: folders of runs that can go on
```
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from zoo.compare.design import Arm, Comparison
from zoo.errors import CheckpointError
from zoo.runtime.files import write_atomically

DESIGN = "comparison.json"


class Folder:
    """Finished runs are read from it and added to it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def grown(self, comparison: Comparison) -> Comparison:
        """The comparison together with what the folder holds: more arms and more seeds than before
        are welcome.

        Raises:
            CheckpointError: the folder belongs to a comparison with another recipe or data, or an
                arm of the same label was another one, or it is no such folder.
        """
        file = self.path / DESIGN
        if not file.exists():
            self._check_empty()
            return comparison
        before, now = _read(file), described(comparison)
        _check_same(before, now, str(file))
        own = {arm.label for arm in comparison.everything}
        others = (_arm(known) for label, known in before["arms"].items() if label not in own)
        seeds = max(before["seeds"], comparison.seeds)
        return replace(comparison, arms=(*others, *comparison.arms), seeds=seeds)

    def claim(self, comparison: Comparison) -> None:
        """Make it the folder of this comparison. It raises as `grown` does."""
        grown = self.grown(comparison)
        write_atomically(self.path / DESIGN, _json(described(grown)))

    def done(self, arm: Arm, seed: int) -> bool:
        return self._run_file(arm, seed).exists()

    def unfinished(self, arm: Arm, seed: int) -> Path:
        """The folder of a run that has not ended."""
        return self.path / "unfinished" / f"{arm.file}.{seed}"

    def add(self, arm: Arm, seed: int, found: dict[str, Any]) -> None:
        """Keep what a run found; its folder is no longer needed."""
        write_atomically(self._run_file(arm, seed), _json(found))
        shutil.rmtree(self.unfinished(arm, seed), ignore_errors=True)

    def runs(self) -> list[dict[str, Any]]:
        """Every finished run, in the order of the files' names."""
        return [_read(file) for file in sorted((self.path / "runs").glob("*.json"))]

    @contextmanager
    def reserved(self, arm: Arm, seed: int) -> Iterator[bool]:
        """Whether the run is this process's to do. A lock goes with the process that holds it."""
        lock = self.path / "unfinished" / f"{arm.file}.{seed}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as file:
            yield _locked(file)

    def clear(self) -> None:
        """Take away what only unfinished runs need."""
        shutil.rmtree(self.path / "unfinished", ignore_errors=True)

    def _check_empty(self) -> None:
        if self.path.is_dir() and any(self.path.iterdir()):
            raise CheckpointError(
                "the folder has other files, and is not that of a comparison",
                where=str(self.path),
                remedy="a new folder: --out DIR",
            )

    def _run_file(self, arm: Arm, seed: int) -> Path:
        return self.path / "runs" / f"{arm.file}.{seed}.json"


def described(comparison: Comparison) -> dict[str, Any]:
    """A comparison as plain data."""
    content = {
        "recipe": asdict(comparison.recipe),
        "digest": comparison.recipe.digest,
        "arms": {arm.label: asdict(arm) for arm in comparison.everything},
        "seeds": comparison.seeds,
    }
    return json.loads(json.dumps(content))


def _check_same(before: dict[str, Any], now: dict[str, Any], where: str) -> None:
    if before["digest"] != now["digest"]:
        raise CheckpointError(
            "the folder holds a comparison with another recipe, backbone or data",
            where=where,
            remedy="another --out, or the settings that began it",
        )
    for label, arm in now["arms"].items():
        if before["arms"].get(label, arm) != arm:
            raise CheckpointError(
                f"{label} was compared with other places or options before",
                where=where,
                remedy="another --out",
            )


def _arm(known: dict[str, Any]) -> Arm:
    sites = known["sites"]
    return Arm(**{**known, "sites": tuple(sites) if isinstance(sites, list) else sites})


def _read(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{file.name} cannot be read: {type(error).__name__}",
            where=str(file),
            remedy="delete it: the run is then done again",
        ) from error


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


def _locked(file: Any) -> bool:
    try:
        import fcntl
    except ImportError:  # no such locks on this system: one process at a time
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
