"""What a run's folder says of its data: classes, preprocessing, and which images were held out."""

from __future__ import annotations

import json
from pathlib import Path

from torch import nn

from zoo.data.preprocessing import Preprocessing
from zoo.feeding.opened import OpenedData
from zoo.recipes import Recipe


def about(recipe: Recipe, model: nn.Module, data: OpenedData, folder: Path | None) -> bytes:
    """The content of `data.json`."""
    content = {
        "model": recipe.model,
        "data": recipe.data.name,
        "folder": str(folder.expanduser().absolute()) if folder else "",
        "classes": list(data.classes),
        "preprocessing": Preprocessing.of(model).asdict(),
        "trained_on": len(data.train),
        "images_of_each_class": list(data.counts),
        "measured_on": len(data.held_out),
        "training_split": data.trained,
        "validation_split": data.split,
        "held_out_seed": recipe.data.holdout_seed,
        "held_out": list(data.drawn),
    }
    return (json.dumps(content, indent=1) + "\n").encode()
