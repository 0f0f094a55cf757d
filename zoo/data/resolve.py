"""`--data NAME|DIR`: a name opens the data set of a plugin, and a folder is read as what it is."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.data.arrow import Arrow
from zoo.data.base import Adapted, ImageData
from zoo.data.folder import ImageFolder
from zoo.data.mnist import MNIST, has_idx
from zoo.data.parquet_files import find_files
from zoo.data.scan import has_images
from zoo.data.shards import Shards
from zoo.errors import DataError, UnknownNameError
from zoo.registry import Registry, default_registry
from zoo.registry.specs import DatasetSpec
from zoo.registry.targets import resolve

if TYPE_CHECKING:
    from zoo.data.parquet import Parquet

# Folders that torchvision's downloads leave, and the set that is in them.
_TORCHVISION = {"cifar-10-batches-py": "cifar10", "cifar-100-python": "cifar100"}


def open_data(
    data: str | os.PathLike[str],
    split: str | None = None,
    *,
    num_classes: int | None = None,
    registry: Registry | None = None,
) -> ImageData:
    """The data set that a name or a folder means.

    Args:
        data: the name of a data set of a plugin; a folder of images, of parquet files, of shards of
            webdataset (tar), of IDX files, of a torchvision download, or one that `save_to_disk` of
            the library `datasets` wrote; or a folder of that name in `ZOO_DATA`.
        split: which part; default validation, else test, else train.
        num_classes: of the model, see `class_indices`.

    Raises:
        UnknownNameError: neither a data set nor a folder. DataError: it cannot be read.
    """
    registry = registry or default_registry()
    name = os.fspath(data)
    spec = _named(name, registry)
    if spec is not None:
        return _open_spec(spec, split, registry)
    for folder in (Path(name).expanduser(), _in_zoo_data(name)):
        if folder is not None and folder.exists():
            return open_folder(folder, split, num_classes, registry)
    if os.sep in name or name.startswith((".", "~")):
        raise DataError("there is no such folder", where=name, remedy="--data DIR, or a name")
    known = sorted(registry.datasets)
    close = get_close_matches(name, known, 3) or known
    raise UnknownNameError(
        f"there is no data set and no folder {name!r}", remedy=f"--data {' | '.join(close)}"
    )


def open_in(name: str, root: Path | None, split: str | None) -> ImageData:
    """A data set by its name whose files are in the folder `root`, or what that folder holds.

    Args:
        root: the folder. None is where the name leads, as for `open_data`.
    """
    registry = default_registry()
    if root is None:
        return open_data(name, split)
    if not root.exists():
        raise DataError("there is no such folder", where=str(root), remedy="--data DIR")
    if name in registry.datasets and root.name != name:
        return _open_spec(registry.datasets[name], split, registry, root)
    return open_data(root, split)


def open_folder(
    folder: Path, split: str | None, num_classes: int | None, registry: Registry
) -> ImageData:
    """What is in a folder (or in one parquet file)."""
    for marker, name in _TORCHVISION.items():
        if (folder / marker).is_dir():
            return _open_spec(registry.datasets[name], split, registry, folder)
    if has_idx(folder):
        mnist = MNIST(folder, split)
        mnist.name = folder.resolve().name
        return mnist
    if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
        return Arrow(folder, split)
    if folder.suffix == ".tar" or _holds_shards(folder):
        return Shards(folder, split)
    if folder.is_file() or find_files(folder):
        return _parquet(folder, split, num_classes)
    return ImageFolder(folder, split, num_classes)


def _holds_shards(folder: Path) -> bool:
    """Whether there are tar files and no images: ImageNet's archives may lie beside its folders."""
    return bool(folder.is_dir() and find_files(folder, "tar") and not has_images(folder, folder))


def _parquet(folder: Path, split: str | None, num_classes: int | None) -> Parquet:
    from zoo.data.parquet import Parquet  # pyarrow, for those who read such files

    return _with_count(Parquet(folder, split, num_classes))


def _with_count(data: Parquet) -> Parquet:
    """Labels 0 to n - 1 without a gap are those of n classes, as so many folders are."""
    if data.num_classes is None and sorted(set(data.labels)) == list(range(max(data.labels) + 1)):
        data.num_classes = max(data.labels) + 1
    return data


def _named(name: str, registry: Registry) -> DatasetSpec | None:
    for spec in registry.datasets.values():
        if name == spec.name or name in spec.aliases:
            return spec
    return None


def _in_zoo_data(name: str) -> Path | None:
    root = os.environ.get("ZOO_DATA")
    return Path(root).expanduser() / name if root and not os.path.isabs(name) else None


def _open_spec(
    spec: DatasetSpec, split: str | None, registry: Registry, root: Path | None = None
) -> ImageData:
    items = resolve(spec.target, registry.owner(spec))(root, split)
    if not isinstance(items, ImageData):
        items = Adapted(items, name=spec.name, split=split or "", num_classes=spec.num_classes)
    if items.num_classes is None:
        items.num_classes = spec.num_classes
    return items
