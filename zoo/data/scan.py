"""Which files of a folder are images. The folder of a class is walked once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS

from zoo.errors import DataError

# What file managers, cameras' cards and storage boxes leave in folders; names in lower case.
_JUNK_FOLDERS = frozenset({
    "@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin",
    "__macosx", "__pycache__", "lost+found", "system volume information",
})  # fmt: skip
_JUNK_FILES = frozenset({"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"})
# Pictures that Pillow cannot read without a plugin: they must not go missing in silence.
_OTHER_PICTURES = frozenset(
    ".arw .cr2 .cr3 .dng .exr .hdr .heic .heif .hif .jxl .jxr .nef .orf .raf .rw2 .svg".split()
)


@dataclass(slots=True)
class Found:
    """Images below a folder, sorted by folder and name, and the files that are no images."""

    images: list[str] = field(default_factory=list[str])
    others: list[str] = field(default_factory=list[str])


def is_junk(name: str) -> bool:
    """Whether a file or a folder of that name was not put into a data set on purpose."""
    lower = name.lower()
    return name.startswith(".") or lower in _JUNK_FOLDERS or lower in _JUNK_FILES


def scan(folder: Path, root: Path) -> Found:
    """All images in `folder` and below it.

    A file is an image by its ending, or, where the ending says nothing, by its content. Whether it
    can be read is seen later, and then the file is named. Links to folders are followed once, and
    only if they lead out of `root`: what is in `root` is found in its own place.

    Raises:
        DataError: a folder cannot be read.
    """
    found = Found()
    for path in _files(os.fspath(folder), os.path.realpath(root), set()):
        (found.images if _is_image(path) else found.others).append(path)
    return found


def own_images(folder: Path) -> list[str]:
    """Images that lie in `folder` itself, by name."""
    files = (e for e in _entries(os.fspath(folder)) if not is_junk(e.name) and not e.is_dir())
    return sorted(entry.name for entry in files if _is_image(entry.path))


def has_images(folder: Path, root: Path) -> bool:
    """Whether there is any image in `folder` or below it."""
    return any(_is_image(path) for path in _files(os.fspath(folder), os.path.realpath(root), set()))


def subfolders(root: Path) -> list[str]:
    """The names of the folders in `root` that hold data, sorted, without links back to `root`."""
    entries = [e for e in _entries(os.fspath(root)) if not is_junk(e.name) and e.is_dir()]
    return sorted(e.name for e in entries if not _leads_back(e, os.path.realpath(root)))


@cache
def endings() -> frozenset[str]:
    """The endings of pictures: torchvision's, Pillow's, and those that need a plugin of Pillow."""
    Image.init()
    known = Image.registered_extensions().items()
    pillows = {end for end, kind in known if kind in Image.OPEN and _is_picture(kind)}
    return frozenset(pillows | set(IMG_EXTENSIONS) | _OTHER_PICTURES)


def _files(folder: str, root: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    entries = sorted(_entries(folder), key=lambda entry: entry.name)
    entries = [entry for entry in entries if not is_junk(entry.name)]
    yield from (entry.path for entry in entries if not entry.is_dir())
    for entry in entries:
        if entry.is_dir() and not (entry.is_symlink() and _is_within(entry.path, root)):
            yield from _files(entry.path, root, seen)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(f"cannot read the folder: {error.strerror}", where=folder) from error


def leads_into(link: Path, root: Path) -> bool:
    """Whether `link` is a link to something in `root`."""
    return link.is_symlink() and os.path.realpath(root) in map(str, Path(link).resolve().parents)


def _leads_back(entry: os.DirEntry[str], root: str) -> bool:
    """Whether it is a link to `root` or to a folder that `root` is in."""
    if not entry.is_symlink():
        return False
    real = os.path.realpath(entry.path)
    return os.path.commonpath([root, real]) == real


def _is_within(link: str, root: str) -> bool:
    real = os.path.realpath(link)
    return os.path.commonpath([root, real]) in (root, real)


def _is_image(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in endings() or (
        os.path.isfile(path) and _has_content_of_one(path)
    )


def _has_content_of_one(path: str) -> bool:
    try:
        with Image.open(path) as image:
            return _is_picture(image.format or "")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def _is_picture(kind: str) -> bool:
    """Pillow also opens what is no picture: films, PostScript, scientific arrays."""
    return Image.MIME.get(kind, "").startswith("image/")
