"""Whether the disk has room for what a run writes, before its first step."""

from __future__ import annotations

import shutil
from pathlib import Path

from torch import nn

from zoo.errors import CheckpointError
from zoo.training.loop import Trainer
from zoo.training.run_folder import CHECKPOINT, WEIGHTS

MOMENTS = 2  # tensors that Adam and its like keep for each parameter


def check_room(trainer: Trainer, out: Path) -> None:
    """Refuse to start where the weights and the checkpoint cannot be written.

    A file is written beside the old one before it takes its place, so for a moment there are two.

    Raises:
        CheckpointError: it says how much room is needed, and how much there is.
    """
    weights = _bytes(trainer.model)
    trained = sum(p.numel() * p.element_size() for p in trainer.model.parameters()
                  if p.requires_grad)  # fmt: skip
    checkpoint = weights * (2 if trainer.ema else 1) + MOMENTS * trained
    there = sum((out / name).exists() for name in (WEIGHTS, CHECKPOINT)) == 2
    needed = checkpoint if there else weights + 2 * checkpoint
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise CheckpointError(
            f"the run needs {needed / 1e6:.0f} MB for its checkpoints, and the disk has "
            f"{free / 1e6:.0f} MB",
            where=str(existing),
            remedy="make room, or name a folder on another disk: --out DIR",
        )


def _bytes(model: nn.Module) -> int:
    return sum(t.numel() * t.element_size() for t in model.state_dict().values())
