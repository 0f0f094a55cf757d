"""Which files of a folder belong together, parquet or tar: one configuration, one split."""

from __future__ import annotations

import re
from pathlib import Path

from zoo.data.splits import is_split, split_kind
from zoo.errors import DataError

# What writers append to a name: train-00000-of-00002-a09b74b3ef9c3b56, part-0, 0003.
_SHARD = re.compile(r"([-._ ]?[0-9]+-of-[0-9]+(-[0-9a-f]{16})?|(^|[-._ ])[0-9]+)\Z")
_SEPARATORS = re.compile(r"[-._ =0-9]+")


def find_files(root: Path, ending: str = "parquet") -> list[Path]:
    """Files of a data set with this ending: in `root`, else one or two folders below."""
    if root.is_file():
        return [root]
    for pattern in (f"*.{ending}", f"*/*.{ending}", f"*/*/*.{ending}"):
        found = [p for p in root.glob(pattern) if p.is_file() and not _is_hidden(p, root)]
        if found:
            return sorted(found)
    return []


def files_by_split(root: Path, ending: str = "parquet") -> dict[str, list[Path]]:
    """The files of each split, by the name that they, or the folder they are in, give it.

    A file is of the split whose name is a word of its name, as the Hub's `datasets` has it:
    `train-00000-of-00002.parquet`, `my-train.parquet`, `train/0000.parquet`. Where two names hold
    the same split (`train-clean`, `train-other`), each is a split by its whole name.

    Raises:
        DataError: no files; files of several configurations; a name with two splits in it.
    """
    files = find_files(root, ending)
    if not files:
        raise DataError(f"no {ending} files", where=str(root))
    configurations = sorted({_configuration(path, root) for path in files})
    if len(configurations) > 1:
        folders = " | ".join(str(root / name) for name in configurations)
        raise DataError(
            f"there are {len(configurations)} configurations of the data",
            where=str(root),
            remedy=f"say which: --data {folders}",
        )
    named = {path: _name(path, root) for path in files}
    short = {name: _split_in(name, root) for name in set(named.values())}
    if len(set(short.values())) < len(short):
        short = {name: name for name in short}
    splits: dict[str, list[Path]] = {}
    for path, name in named.items():
        splits.setdefault(short[name], []).append(path)
    return splits


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _folders(path: Path, root: Path) -> tuple[str, ...]:
    return (path.parent.name,) if path == root else path.relative_to(root).parts[:-1]


def _configuration(path: Path, root: Path) -> str:
    """The folders that a file is in, without those that are splits or hold all data."""
    if path == root:
        return ""
    folders = _folders(path, root)
    kept = [name for name in folders if name != "data" and not _words_of_splits(name)]
    return "/".join(kept)


def _name(path: Path, root: Path) -> str:
    """What a file is called without the number of its shard; if that is no split, its folder."""
    name = _SHARD.sub("", path.stem)
    folder = next((f for f in reversed(_folders(path, root)) if _words_of_splits(f)), "")
    return folder if folder and not _words_of_splits(name) else name


def _split_in(name: str, root: Path) -> str:
    words = _words_of_splits(name)
    if is_split(name) or not words:
        return name
    if len({split_kind(word) for word in words}) > 1:
        raise DataError(
            f"the name {name} has two splits in it: {' and '.join(words)}",
            where=str(root),
            remedy="files whose names have one of the words train, validation, test",
        )
    return words[0]


def _words_of_splits(name: str) -> list[str]:
    return [word for word in _SEPARATORS.split(name) if is_split(word)]
