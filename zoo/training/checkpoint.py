"""Checkpoints of a training run. They are written whole or not at all, and belong to one recipe."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from zoo.errors import CheckpointError
from zoo.runtime.files import write_atomically

FORMAT = 1


def save_checkpoint(path: Path, digest: str, state: dict[str, Any]) -> None:
    """Write `state`, marked as that of the recipe with this digest."""
    # By way of memory: of a full disk, torch's own writer says only "unexpected pos".
    content = io.BytesIO()
    torch.save({"format": FORMAT, "recipe": digest, "state": state}, content)
    write_atomically(path, lambda file: file.write(content.getbuffer()))


def load_checkpoint(path: Path, digest: str) -> dict[str, Any]:
    """The state of a run of this recipe.

    Raises:
        CheckpointError: the file is damaged, or belongs to another recipe.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        found, recipe, state = content["format"], content["recipe"], content["state"]
    except Exception as error:  # torch, pickle and zipfile raise a dozen kinds
        raise CheckpointError(
            f"checkpoint cannot be read: {type(error).__name__}",
            where=str(path),
            remedy=f"delete {path.name} to start anew, or choose another --out",
        ) from error
    if found != FORMAT or recipe != digest:
        raise CheckpointError(
            "checkpoint is of another recipe, or of another version of the zoo",
            where=str(path),
            remedy="choose another --out, or the recipe that began this run",
        )
    return state
