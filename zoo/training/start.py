"""What a stage of a recipe starts from: the weights of the stage before it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from zoo.recipes import Recipe


@dataclass(frozen=True, slots=True)
class Start:
    """A file of weights, and the digest of all recipes that led to it."""

    file: Path
    digest: str

    @classmethod
    def of(cls, file: Path, recipe: Recipe, before: Start | None) -> Start:
        """The weights that a stage left, which itself may have started from the one before."""
        return cls(file, run_digest(recipe, before))


def run_digest(recipe: Recipe, start: Start | None) -> str:
    """The SHA-256 of all that decides the result of a run. A checkpoint must agree with it."""
    if start is None:
        return recipe.digest
    return hashlib.sha256(f"{start.digest} {recipe.digest}".encode()).hexdigest()
