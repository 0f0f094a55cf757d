"""A folder of images, one folder a class; it may have `val/`, `test/`, `train/` above those."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

from zoo.data.classes import class_indices
from zoo.data.splits import choose, is_split
from zoo.errors import DataError


class ImageFolder:
    """`root/<class>/**/<image>`: items are (PIL image, class index), sorted by class and path.

    Args:
        root: the folder; with folders of splits in it, `split` chooses one.
        split: validation, test or train, by any usual name; default is the first there is.
        num_classes: of the model, which decides what folders named by WordNet id mean; see
            `class_indices`.

    Raises:
        DataError: no folder, no such split, no class folders (so no labels), or no images.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | None = None,
        num_classes: int | None = None,
    ) -> None:
        root = Path(root).expanduser()
        self.name = root.resolve().name
        self.split, self.root = _split_folder(root, split)
        classes = subfolders(self.root)
        if not classes:
            raise DataError(
                "images without labels" if _has_images(self.root) else "no images in the folder",
                where=str(self.root),
                remedy="put the images of each class into a folder of its own: DIR/<class>/*.jpg",
            )
        self.num_classes: int | None
        self.class_to_idx, self.num_classes = class_indices(classes, num_classes, self.root)
        found = make_dataset(self.root, dict(self.class_to_idx), IMG_EXTENSIONS, allow_empty=True)
        self.samples = [(path, i) for path, i in found if not _is_hidden(path, self.root)]
        if not self.samples:
            raise DataError(
                "no images in the class folders",
                where=str(self.root),
                remedy=f"images end in {' '.join(IMG_EXTENSIONS)}",
            )
        self.labels = [label for _, label in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        path, label = self.samples[index]
        with Image.open(path) as image:
            image.load()
        return image, label

    def describe(self, index: int) -> str:
        return os.path.relpath(self.samples[index][0], self.root)


def subfolders(root: Path) -> list[str]:
    """Names of the folders in `root` that are not hidden, sorted."""
    try:
        entries = [n for n in os.listdir(root) if not n.startswith(".") and (root / n).is_dir()]
    except OSError as error:
        raise DataError(f"cannot read the folder: {error.strerror}", where=str(root)) from error
    return sorted(entries)


def _split_folder(root: Path, split: str | None) -> tuple[str, Path]:
    splits = [name for name in subfolders(root) if is_split(name)]
    if split is None and set(splits) != set(subfolders(root)):
        splits = []  # a class may well be called "test"
    if split is None and not splits:
        return "", root
    name = choose(splits, split, root)
    return name, root / name


def _is_hidden(path: str, root: Path) -> bool:
    return any(part.startswith(".") for part in Path(path).relative_to(root).parts)


def _has_images(root: Path) -> bool:
    return any(name.lower().endswith(IMG_EXTENSIONS) for name in os.listdir(root))
