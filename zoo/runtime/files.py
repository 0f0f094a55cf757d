"""Files that are written as a whole or not at all, and several results of which none is lost."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from zoo.errors import ZooError

_STREAMS = (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))  # /dev/stdout and the like


def write_atomically(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write a file so that a kill or a full disk leaves either the old file or the new one.

    What is no regular file (a device, a pipe) is written to directly.

    Args:
        content: the bytes, or a function that writes them to an open file.

    Raises:
        OSError: the file cannot be written; the error names it.
    """
    try:
        if path.parent in _STREAMS or (path.exists() and not path.is_file()):
            return _write(path, content)
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name[:50]}.{uuid4().hex[:8]}.tmp")  # at most 214 bytes
        try:
            _write(scratch, content)
            os.replace(scratch, path)
        finally:
            scratch.unlink(missing_ok=True)
    except OSError as error:
        if not error.errno:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _write(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    with path.open("wb") as file:
        content(file) if callable(content) else file.write(content)
        file.flush()
        if path.is_file():
            os.fsync(file.fileno())


def all_of(*steps: Callable[[], object]) -> None:
    """Take every step, even if one before it fails. Then raise what failed, as one error."""
    failed: list[Exception] = []
    for step in steps:
        try:
            step()
        except Exception as error:
            failed.append(error)
    if len(failed) == 1:
        raise failed[0]
    if failed:
        said = [reason(e) if isinstance(e, OSError) else str(e) for e in failed]
        raise ZooError("\n".join(said)) from failed[0]


def reason(error: OSError) -> str:
    """Why a file or the output could not be written, in one line."""
    if error.filename:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)
    return f"the output cannot be written: {error.strerror}" if full else str(error)
