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
from dataclasses import asdict
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

    def claim(self, comparison: Comparison) -> None:
        """Make it the folder of this comparison. More arms or more seeds than before are welcome.

        Raises:
            CheckpointError: it belongs to a comparison with another recipe or data, or an arm of
                the same label was another one.
        """
        file = self.path / DESIGN
        design = described(comparison)
        if file.exists():
            design = _joined(_read(file), design, str(file))
        elif self.path.is_dir() and any(self.path.iterdir()):
            raise CheckpointError(
                "the folder has other files, and is not that of a comparison",
                where=str(self.path),
                remedy="a new folder: --out DIR",
            )
        write_atomically(file, _json(design))

    def check(self, comparison: Comparison) -> None:
        """Refuse what `claim` refuses, and write nothing."""
        file = self.path / DESIGN
        if file.exists():
            _joined(_read(file), described(comparison), str(file))

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


def _joined(before: dict[str, Any], now: dict[str, Any], where: str) -> dict[str, Any]:
    """What was compared before and what is now, together."""
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
    arms = {**before["arms"], **now["arms"]}
    return {**now, "arms": arms, "seeds": max(before["seeds"], now["seeds"])}


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
