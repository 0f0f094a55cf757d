"""torchvision's classification data sets, from files that are on disk already."""

from __future__ import annotations

import inspect
import os
from functools import partial
from pathlib import Path
from typing import Any

from torchvision import datasets

from zoo.data.base import Adapted, ImageData
from zoo.data.parquet import Parquet
from zoo.data.parquet_files import find_files
from zoo.data.splits import synonyms
from zoo.errors import DataError, SplitNotFoundError


def open_set(
    name: str, cls: str, root: str | os.PathLike[str] | None = None, split: str | None = None
) -> ImageData:
    """`torchvision.datasets.<cls>`, or the same set in the Hub's parquet form.

    Args:
        root: the folder, or one that has the folder `name`; None is `ZOO_DATA`.
        split: default test, else validation.

    Raises:
        SplitNotFoundError: there is no such split, or its files are absent or damaged, between
            which torchvision does not tell. DataError: without a split, its files are.
    """
    base = root if root is not None else os.environ.get("ZOO_DATA")
    if base is None:
        raise DataError(
            f"where are the files of {name}?",
            remedy=f"ZOO_DATA=DIR, or --data DIR/{name}; {_download(cls, 'DIR')} fetches them",
        )
    reasons: list[str] = []
    for folder in (Path(base).expanduser() / name, Path(base).expanduser()):
        if folder.is_dir() and (folder.name == name or root is not None) and find_files(folder):
            return Parquet(folder, split)
        for options in _split_options(cls, split):
            try:
                items = getattr(datasets, cls)(folder, **options)
            except ValueError as error:  # no such split, which matters only if nothing else does
                reasons.append(str(error).strip().splitlines()[0])
                continue
            except (RuntimeError, OSError, ImportError) as error:
                reasons.insert(0, str(error).strip().splitlines()[0])
                continue
            return Adapted(items, name=name, split=_split_name(options))
    kind = DataError if split is None else SplitNotFoundError
    raise kind(
        f"cannot open {name}: {reasons[0]}",
        where=str(base),
        remedy=_download(cls, base),
    )


def _download(cls: str, folder: object) -> str:
    return f"python -c \"import torchvision.datasets as d; d.{cls}('{folder}', download=True)\""


def _split_options(cls: str, split: str | None) -> list[dict[str, Any]]:
    """The ways to ask a torchvision class for a split; they do not agree on its name."""
    wanted = synonyms(split) if split is not None else ("test", "val", "validation")
    if "train" in inspect.signature(getattr(datasets, cls)).parameters:
        return [{"train": "train" in wanted}]
    return [{"split": name} for name in wanted]


def _split_name(options: dict[str, Any]) -> str:
    return options.get("split") or ("train" if options["train"] else "test")


cifar10 = partial(open_set, "cifar10", "CIFAR10")
cifar100 = partial(open_set, "cifar100", "CIFAR100")
dtd = partial(open_set, "dtd", "DTD")
fashion_mnist = partial(open_set, "fashion_mnist", "FashionMNIST")
fgvc_aircraft = partial(open_set, "fgvc_aircraft", "FGVCAircraft")
flowers102 = partial(open_set, "flowers102", "Flowers102")
food101 = partial(open_set, "food101", "Food101")
gtsrb = partial(open_set, "gtsrb", "GTSRB")
imagenet = partial(open_set, "imagenet", "ImageNet")
imagenette = partial(open_set, "imagenette", "Imagenette")
kmnist = partial(open_set, "kmnist", "KMNIST")
oxford_iiit_pet = partial(open_set, "oxford_iiit_pet", "OxfordIIITPet")
stl10 = partial(open_set, "stl10", "STL10")
svhn = partial(open_set, "svhn", "SVHN")
