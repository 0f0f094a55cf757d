"""The images that a training run was measured on, as `data.json` in its folder says."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.base import ImageData, describe
from zoo.data.resolve import open_in
from zoo.data.splits import ABOUT
from zoo.data.subset import Subset
from zoo.errors import DataError


def open_held_out(run: str | os.PathLike[str]) -> ImageData | None:
    """The held-out images of a run; None if its folder does not say which they are.

    Raises:
        DataError: `data.json` cannot be read, or the images are no longer where they were.
    """
    path = Path(run).expanduser() / ABOUT
    if not path.is_file():
        return None
    stated = _read(path)
    try:
        folder = Path(stated["folder"]) if stated["folder"] else None
        split = stated["validation_split"] or stated["training_split"] or None
        name, drawn = str(stated["data"]), list(stated["held_out"])
    except (KeyError, TypeError) as error:
        raise DataError(f"{ABOUT} does not say {error}", where=str(path)) from error
    data = open_in(name, folder, split)
    if stated["validation_split"]:
        return data
    return _drawn(data, drawn, path)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read: {error}", where=str(path)) from error


def _drawn(data: ImageData, names: list[str], path: Path) -> ImageData:
    place = {describe(data, index): index for index in range(len(data))}
    absent = [name for name in names if name not in place]
    if absent or not names:
        raise DataError(
            f"{len(absent)} of {len(names)} images that the run held out are no longer there"
            if absent
            else "the run held no images out",
            where=str(path),
            remedy="--data NAME|DIR",
        )
    return Subset(data, np.array([place[name] for name in names]))
