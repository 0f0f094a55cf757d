"""The file that is to be written: found out to be impossible before the work, not after it."""

from __future__ import annotations

import os
from pathlib import Path

from zoo.errors import UsageError


def check_target(path: str | os.PathLike[str]) -> Path:
    """The path, in a folder that exists and can be written to.

    Raises:
        UsageError: it is a folder, or its folder is missing or closed.
    """
    file = Path(path).expanduser()
    folder = file.absolute().parent
    if file.is_dir():
        raise UsageError(f"{file} is a folder", remedy=f"a file, such as {file / 'model.onnx'}")
    if not folder.is_dir():
        raise UsageError(f"the folder {folder} does not exist", remedy=f"mkdir -p {folder}")
    if not os.access(file if file.exists() else folder, os.W_OK):
        raise UsageError(f"{file} cannot be written: no permission")
    return file
