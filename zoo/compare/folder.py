"""The folder of a comparison: what is compared, and a file for each finished run. No torch."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoo.compare.design import Arm, Comparison
from zoo.errors import CheckpointError
from zoo.runtime.files import write_atomically

DESIGN = "comparison.json"


class Folder:
    """Finished runs are read from it and added to it, each written as a whole."""

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
            design = _joined(json.loads(file.read_text("utf-8")), design, str(file))
        write_atomically(file, _json(design))

    def run_file(self, arm: Arm, seed: int) -> Path:
        return self.path / "runs" / f"{arm.file}.{seed}.json"

    def checkpoint(self, arm: Arm, seed: int) -> Path:
        return self.path / "unfinished" / f"{arm.file}.{seed}.pt"

    def done(self, arm: Arm, seed: int) -> bool:
        return self.run_file(arm, seed).exists()

    def add(self, arm: Arm, seed: int, found: dict[str, Any]) -> None:
        write_atomically(self.run_file(arm, seed), _json(found))
        self.checkpoint(arm, seed).unlink(missing_ok=True)

    def runs(self) -> list[dict[str, Any]]:
        """Every finished run, in the order of the files' names."""
        return [
            json.loads(file.read_text("utf-8"))
            for file in sorted((self.path / "runs").glob("*.json"))
        ]


def described(comparison: Comparison) -> dict[str, Any]:
    """A comparison as plain data."""
    recipe = asdict(comparison.recipe)
    return {
        "recipe": recipe,
        "digest": comparison.recipe.digest,
        "arms": {arm.label: json.loads(json.dumps(asdict(arm))) for arm in comparison.everything},
        "seeds": comparison.seeds,
    }


def _joined(before: dict[str, Any], now: dict[str, Any], where: str) -> dict[str, Any]:
    if before["digest"] != now["digest"]:
        raise CheckpointError(
            "the folder holds a comparison with another recipe, backbone or data",
            where=where,
            remedy="another --out, or the settings that began it",
        )
    arms = {**now["arms"], **before["arms"]}
    changed = [label for label, arm in now["arms"].items() if arms[label] != arm]
    if changed:
        raise CheckpointError(
            f"{changed[0]} was compared with other places or options before",
            where=where,
            remedy="another --out",
        )
    return {**now, "arms": arms, "seeds": max(before["seeds"], now["seeds"])}


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()
