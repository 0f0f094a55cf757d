"""What the zoo remembers of files that it has read: their digests, and whether they are finite.

For each hashed file there is one small note, which says what the file hashed to while its size,
times and inode were such. A file that has changed since is hashed again. The notes lie in the
folder that the Hub's client has for the assets of other libraries.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from zoo.runtime.files import write_atomically

TICK = 0.02  # seconds; longer than the step of any file system's clock that the zoo runs on


def folder() -> Path:
    """The folder of the notes."""
    from huggingface_hub import constants

    return Path(constants.HF_ASSETS_CACHE) / "attention-zoo"


def read_note(path: Path) -> dict[str, Any]:
    """A note; an empty one if it is absent or not ours."""
    try:
        note = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}


def write_note(path: Path, note: Mapping[str, Any]) -> None:
    """Write a note. If the folder cannot be written, the zoo is slower, but not wrong."""
    try:
        write_atomically(path, json.dumps(note).encode())
    except OSError:
        pass


def identity(file: BinaryIO) -> dict[str, int]:
    """What changes when an open file's content does: its size, times and inode."""
    stat = os.fstat(file.fileno())
    return {
        "size": stat.st_size,
        "mtime": stat.st_mtime_ns,
        "ctime": stat.st_ctime_ns,
        "inode": stat.st_ino,
        "device": stat.st_dev,
    }


def _note_path(state: Mapping[str, int]) -> Path:
    return folder() / "verified" / f"{state['device']:x}-{state['inode']:x}.json"


def known(file: BinaryIO) -> dict[str, Any]:
    """What is remembered of this very file in this very state: `sha256`, `git`, `finite`."""
    state = identity(file)
    note = read_note(_note_path(state))
    facts = note.get("facts") if note.get("identity") == state else None
    return facts if isinstance(facts, dict) else {}


def remember(file: BinaryIO, state: Mapping[str, int], **facts: Any) -> None:
    """Remember facts that were found while the identity of the file was `state`, unless it has
    changed.
    """
    age = time.time() - max(state["mtime"], state["ctime"]) / 1e9
    if 0 <= age < TICK:  # a later write within the same tick of the clock would go unseen
        time.sleep(TICK - age)
    if identity(file) == state:
        write_note(_note_path(state), {"identity": dict(state), "facts": {**known(file), **facts}})


def forget_all() -> None:
    """Forget every digest, so that each file is hashed again when it is next used."""
    for path in (folder() / "verified").glob("*.json"):
        path.unlink(missing_ok=True)


def digest(file: BinaryIO, algorithm: str = "sha256") -> str:
    """The digest of an open file's content: `sha256`, or `git` (the id of git's blob, a SHA-1).

    It is computed once for each state of the file, and then remembered.
    """
    value = known(file).get(algorithm)
    if isinstance(value, str):
        return value
    state = identity(file)
    value = content_digest(file, algorithm)
    remember(file, state, **{algorithm: value})
    return value


def content_digest(file: Any, algorithm: str) -> str:
    """The digest of an open binary file, read now and not remembered."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if algorithm == "sha256":
        return hashlib.file_digest(file, "sha256").hexdigest()
    header = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    return hashlib.file_digest(file, lambda: header).hexdigest()
