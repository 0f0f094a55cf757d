"""Which part of a data set: `--split` is read in one way, whatever the form of the data."""

from __future__ import annotations

import os
from collections.abc import Sequence

from zoo.errors import SplitNotFoundError

SYNONYMS = (
    ("validation", "val", "valid", "dev"),
    ("test", "testing", "eval", "evaluation"),
    ("train", "training"),
)
ABOUT = "data.json"  # in the folder of a run: what it was trained on, and which images it held out
_ORDER = tuple(name for names in SYNONYMS for name in names)


def synonyms(split: str) -> tuple[str, ...]:
    """All names of a split (`val` and `validation`, say). The given name comes first."""
    for names in SYNONYMS:
        if split.lower() in names:
            return split, *(name for name in names if name != split)
    return (split,)


def is_split(name: str) -> bool:
    """Whether a folder or a file of that name is a split rather than a class."""
    return name.lower() in _ORDER


def split_kind(name: str) -> str:
    """The first of the names of a split: `validation` for `Val`. Empty for what is no split."""
    return next((names[0] for names in SYNONYMS if name.lower() in names), "")


def choose(
    available: Sequence[str],
    asked: str | None,
    where: str | os.PathLike[str],
    *,
    preferred: Sequence[str] = _ORDER,
) -> str:
    """The split that is asked for, by any of its names. Else the first there is of validation,
    test, train.

    Raises:
        SplitNotFoundError: there is no such split; the message lists those that there are.
    """
    wanted = synonyms(asked) if asked is not None else preferred
    for fold in (str, str.lower):
        spelled = {fold(name): name for name in reversed(available)}
        for name in wanted:
            if fold(name) in spelled:
                return spelled[fold(name)]
    if asked is None and len(available) == 1:
        return available[0]
    what = f"there is no split {asked!r}" if asked is not None else "say which split"
    raise SplitNotFoundError(
        what, where=os.fspath(where), remedy=f"--split {' | '.join(available)}" if available else ""
    )
