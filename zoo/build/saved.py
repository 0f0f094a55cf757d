"""Models by path: the folder of a run, or a file that says which model it is of."""

from __future__ import annotations

import os
from pathlib import Path

from zoo.errors import UnknownNameError, UsageError, WeightsNotFoundError
from zoo.registry import Registry, names
from zoo.weights.model_file import WEIGHTS, read_statement, weights_file


def saved_model(name: str | os.PathLike[str], registry: Registry) -> tuple[str, Path] | None:
    """The model and its file, where `name` is a path; None where it is the name of a model.

    A path is the folder of a run or of a package, which holds `model.safetensors`, or a
    `.safetensors` file. A word without a slash is a path only if no model has that name.

    Raises:
        WeightsNotFoundError: the folder has no weights. UsageError: the file does not say of which
            model it is.
    """
    if not is_saved(name, registry):
        return None
    file = weights_file(Path(name).expanduser())
    if not file.is_file():
        raise WeightsNotFoundError(
            f"there is no {WEIGHTS} in the folder"
            if Path(name).expanduser().is_dir()
            else "there is no such file",
            where=os.fspath(name),
            remedy="a folder in which zoo train has finished an epoch, or a .safetensors file",
        )
    statement = read_statement(file)
    if statement is None:
        raise UsageError(
            "the file does not say of which model it is",
            where=str(file),
            remedy=f"the name of the model with --weights {file}; zoo.save_model writes files that "
            "say it",
        )
    return statement.name, file


def is_saved(name: str | os.PathLike[str], registry: Registry) -> bool:
    """Whether a name is the path of a folder or file rather than the name of a model."""
    if not isinstance(name, str):
        return isinstance(name, os.PathLike)
    if name.startswith("hf-hub:"):
        return False
    if name.endswith(".safetensors"):
        return True
    there = Path(name).expanduser()
    return there.is_dir() and (os.sep in name or _is_unknown(name, registry))


def _is_unknown(name: str, registry: Registry) -> bool:
    try:
        names.parse(name, registry)
    except UnknownNameError:
        return True
    return False
