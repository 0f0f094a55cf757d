"""A verified file. It stays open, so that what was hashed is what is read."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

from zoo.errors import CorruptWeightsError, WeightsNotFoundError
from zoo.registry.specs import WeightsSpec
from zoo.weights import remembered

DigestFrom: TypeAlias = Literal["manifest", "hub", "cache", "computed", "unverified"]


@dataclass(slots=True, kw_only=True)
class VerifiedFile(AbstractContextManager["VerifiedFile"]):
    """An open file whose content has the digest `sha256`; a context manager that closes it.

    Attributes:
        path: where it was opened, for messages. It is never opened again by this path.
        handle: the open file that was hashed. What is read is read through it, so that a file that
            is put in its place on disk later does not matter.
        sha256: the digest of the content.
        source: `bundled` in the package, `hub`, or a `file` of the user.
        digest_from: what the content was checked against: the `manifest`; the digest that the `hub`
            states for the commit; the digest that the `cache` recorded when the file was fetched;
            nothing for a user's own file (`computed`); or nothing for a copy that others cached
            without a digest and that is used offline (`unverified`).
        repository, revision, filename: where it is on the Hub; `revision` is the 40-hex commit.
    """

    path: Path
    handle: BinaryIO
    sha256: str
    source: Literal["bundled", "hub", "file"]
    digest_from: DigestFrom
    repository: str = ""
    revision: str = ""
    filename: str = ""
    _state: Mapping[str, int] = field(default_factory=dict[str, int], repr=False)

    def __post_init__(self) -> None:
        self._state = remembered.identity(self.handle)

    @property
    def size(self) -> int:
        """The number of bytes when it was opened."""
        return self._state["size"]

    def known(self, fact: str) -> Any:
        """A fact remembered of this content (`finite`), or None."""
        return remembered.known(self.handle).get(fact)

    def remember(self, **facts: Any) -> None:
        """Remember facts that were found by reading through `handle`."""
        remembered.remember(self.handle, self._state, **facts)

    def record(self) -> dict[str, str]:
        """What the record of an evaluation says of the weights."""
        keys = ("source", "repository", "revision", "filename", "sha256", "digest_from")
        return {key: value for key in keys if (value := getattr(self, key))}

    def close(self) -> None:
        self.handle.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        OSError: it is anything else; a pipe, say, could block for ever.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is not a regular file")
    return os.fdopen(descriptor, "rb")


def local_file(path: str | os.PathLike[str]) -> VerifiedFile:
    """A file of the user, hashed so that a record can name it.

    Raises:
        WeightsNotFoundError: it is absent, unreadable, or not a regular file.
    """
    path = Path(path).expanduser()
    try:
        handle, digest = _hashed(path)
    except (OSError, ValueError) as error:
        raise WeightsNotFoundError(
            f"the weights file cannot be opened: {getattr(error, 'strerror', None) or error}",
            where=str(path),
        ) from None
    return VerifiedFile(
        path=path, handle=handle, sha256=digest, source="file", digest_from="computed"
    )


def _hashed(path: Path) -> tuple[BinaryIO, str]:
    handle = open_regular(path)
    try:
        return handle, remembered.digest(handle)
    except BaseException:
        handle.close()
        raise


def bundled_file(spec: WeightsSpec) -> VerifiedFile:
    """Weights in an installed package, checked against their manifest.

    Raises:
        WeightsNotFoundError: the package or the file is not installed.
        CorruptWeightsError: the digest of the file is not that of the manifest.
    """
    package, _, name = spec.path.partition(":")
    where = f"{spec.model}.{spec.tag}: {spec.path}"
    try:
        with ExitStack() as stack:
            path = stack.enter_context(resources.as_file(resources.files(package) / name))
            handle, found = _hashed(path)
    except (ImportError, OSError, ValueError, TypeError) as error:
        raise WeightsNotFoundError(
            f"the bundled weights are not installed ({error})",
            where=where,
            remedy=f"reinstall the distribution that provides {package}",
        ) from None
    if found != spec.sha256:
        handle.close()
        raise CorruptWeightsError(
            f"the bundled weights have been changed: expected sha256 {spec.sha256}, found {found}",
            where=f"{where} ({path})",
            remedy=f"reinstall the distribution that provides {package}",
        )
    return VerifiedFile(
        path=path, handle=handle, sha256=found, source="bundled", digest_from="manifest"
    )
