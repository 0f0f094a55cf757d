"""Shards of webdataset: tar files in which the files of a sample stand one after the other.

A sample is the files of one name but for the ending: `0001.jpg` and `0001.cls`, whose text is the
number or the name of the class. The headers of a shard are read once; after that an image is read
from its place in the file, so that shards can be read in any order.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from zoo.data.classes import natural_order
from zoo.data.parquet_files import files_by_split
from zoo.data.scan import endings
from zoo.data.splits import choose
from zoo.errors import DataError

LABEL = ".cls"


@dataclass(frozen=True, slots=True)
class _Sample:
    """An image in a shard: where its bytes begin, how many there are, and its class as text."""

    file: int
    start: int
    size: int
    name: str
    label: str


class Shards:
    """The samples of `<split>-*.tar` files: items are (PIL image, class index).

    `class_names` has the names of the classes by index, if the labels are no numbers.

    Args:
        root: a folder, or one tar file that is not compressed.
        split: as the files' names have it; default validation, test, train.

    Raises:
        DataError: no shards, no such split, a shard is damaged or compressed, or a sample has no
        image or no class.
    """

    def __init__(self, root: str | os.PathLike[str], split: str | None = None) -> None:
        root = Path(root).expanduser()
        self.name = root.resolve().stem if root.is_file() else root.resolve().name
        by_split = files_by_split(root, "tar")
        self.split = choose(tuple(by_split), split, root)
        self.files = by_split[self.split]
        self._samples = [s for i, path in enumerate(self.files) for s in _samples(i, path)]
        if not self._samples:
            raise DataError("no samples in the shards", where=str(root))
        texts = [sample.label for sample in self._samples]
        self.numbered = all(text.isdecimal() for text in texts)
        names = [] if self.numbered else natural_order(texts)
        self.class_names = dict(enumerate(names))
        place = {name: index for index, name in enumerate(names)}
        self.labels = [int(t) if self.numbered else place[t] for t in texts]
        self.num_classes: int | None = max(self.labels) + 1

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        sample = self._samples[index]
        with self.files[sample.file].open("rb") as file:
            file.seek(sample.start)
            content = file.read(sample.size)
        image = Image.open(io.BytesIO(content))
        image.load()
        return image, self.labels[index]

    def describe(self, index: int) -> str:
        sample = self._samples[index]
        return f"{self.files[sample.file].name}: {sample.name}"


def _samples(number: int, path: Path) -> Iterator[_Sample]:
    images: dict[str, tarfile.TarInfo] = {}
    labels: dict[str, str] = {}
    try:
        with tarfile.open(path, "r:") as shard:
            for member in shard:
                key, ending = _key(member.name)
                if not member.isfile():
                    continue
                if ending == LABEL:
                    content = shard.extractfile(member)
                    labels[key] = content.read().decode().strip() if content else ""
                elif ending in endings():
                    images[key] = member
    except (OSError, tarfile.TarError, UnicodeDecodeError) as error:
        raise DataError(
            f"cannot read the shard: {error}",
            where=str(path),
            remedy="a whole tar file that is not compressed",
        ) from error
    for key in [*images.keys() ^ labels.keys()][:1]:
        lacks = "no class (.cls)" if key in images else "no image"
        raise DataError(f"the sample {key} has {lacks}", where=str(path))
    for key, member in images.items():
        yield _Sample(number, member.offset_data, member.size, member.name, labels[key])


def _key(name: str) -> tuple[str, str]:
    """The name of a sample, up to the first dot of the file's name, and the last ending."""
    folder, _, base = name.rpartition("/")
    key, dot, ending = base.partition(".")
    return f"{folder}/{key}", f"{dot}{ending.rpartition('.')[2]}".lower()
