"""A folder of images, one folder for each class. `val/`, `test/`, `train/` may be above these."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

from zoo.data.classes import class_indices
from zoo.data.scan import has_images, leads_into, own_images, scan, subfolders
from zoo.data.splits import choose, is_split, split_kind
from zoo.errors import DataError


class ImageFolder:
    """`root/<class>/**/<image>`: items are (PIL image, class index), sorted by class and path.

    Images are files of any format that Pillow reads, whatever their endings. `class_names` has the
    names of the classes by index, `left_out` the files that are no images of a class.

    Args:
        root: the folder; with folders of splits in it, `split` chooses one.
        split: validation, test or train, by any usual name; default is the first there is.
        num_classes: of the model, which decides what the names of folders mean; see
            `class_indices`.

    Raises:
        DataError: no folder, no such split, no class folders (so no labels), or no images; the
        folders are not the model's classes; some are classes and some splits.
    """

    numbered = False

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | None = None,
        num_classes: int | None = None,
    ) -> None:
        root = Path(root).expanduser()
        self.name = root.resolve().name
        self.split, self.root = _split_folder(root, split)
        stray = own_images(self.root)
        classes = _class_folders(self.root, bool(stray))
        self.num_classes: int | None
        self.class_to_idx, self.num_classes = class_indices(classes, num_classes, self.root)
        self.class_names = {index: name for name, index in self.class_to_idx.items()}
        self.samples: list[tuple[str, int]] = []
        self.left_out: list[str] = stray
        for index, name in sorted(self.class_names.items()):
            found = scan(self.root / name, self.root)
            self.samples += [(path, index) for path in found.images]
            self.left_out += [os.path.relpath(path, self.root) for path in found.others]
        if not self.samples:
            raise DataError("no images in the class folders", where=str(self.root))
        self.labels = [label for _, label in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        path, label = self.samples[index]
        if os.path.exists(path) and not os.path.isfile(path):
            raise DataError("not a regular file")  # reading a pipe or a device may never end
        with Image.open(path) as image:
            image.load()
        return image, label

    def describe(self, index: int) -> str:
        return os.path.relpath(self.samples[index][0], self.root)


def _class_folders(root: Path, stray: bool) -> list[str]:
    classes = subfolders(root)
    if not classes:
        raise DataError(
            "images without labels" if stray else "no images in the folder",
            where=str(root),
            remedy="put the images of each class into a folder of its own: DIR/<class>/*.jpg",
        )
    real: dict[str, str] = {}
    for name in classes:
        other = real.setdefault(os.path.realpath(root / name), name)
        if other != name or leads_into(root / name, root):
            raise DataError(
                f"the class folders {other} and {name} are one folder"
                if other != name
                else f"the class folder {name} is a link to another class",
                where=str(root),
                remedy="remove the link",
            )
    return classes


def has_splits(root: Path) -> bool:
    """Whether the folders in `root` are splits: a class may well be called "test".

    Raises:
        DataError: there are several splits, with class folders in them, and classes beside them.
    """
    folders = subfolders(root)
    splits = [name for name in folders if is_split(name)]
    others = [name for name in folders if name not in splits and has_images(root / name, root)]
    others = [name for name in others if not leads_into(root / name, root)]
    if not splits or not others and splits == folders:
        return bool(splits)
    if not all(subfolders(root / name) and not own_images(root / name) for name in splits):
        return False
    if others and len({split_kind(name) for name in splits}) > 1:
        raise DataError(
            f"are {' and '.join(splits)} splits of the data, or classes as {others[0]} is?",
            where=str(root),
            remedy=f"--split {' | '.join(splits)}, or move {others[0]} out of the folder",
        )
    return not others


def _split_folder(root: Path, split: str | None) -> tuple[str, Path]:
    """(name, folder) of the split; ("", `root`) where the folders in it are classes."""
    if split is None and not has_splits(root):
        return "", root
    name = choose([name for name in subfolders(root) if is_split(name)], split, root)
    return name, root / name
