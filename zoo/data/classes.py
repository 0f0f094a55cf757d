"""Class names to class indices: ImageNet's own for WordNet ids, sorted order for all others."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from zoo.errors import DataError

_WORDNET_ID = re.compile(r"n\d{8}\Z")


def class_indices(
    names: Iterable[str], num_classes: int | None, where: str | os.PathLike[str] = ""
) -> tuple[Mapping[str, int], int]:
    """(index of each name, number of classes).

    Names that are all WordNet ids have their index in ImageNet-1k, or, if the model has as many
    classes as a larger ImageNet (21k, 22k, 12k), in that. A model with exactly as many classes as
    there are names, and other names than WordNet ids, have the names in sorted order (by code
    point, as torchvision does). With `num_classes=None` ids of a larger ImageNet are sorted too.

    Raises:
        DataError: some are WordNet ids that this ImageNet has not.
    """
    ordered = sorted(set(names))
    in_order = {name: index for index, name in enumerate(ordered)}
    if not ordered or not all(map(_WORDNET_ID.match, ordered)) or len(ordered) == num_classes:
        return in_order, len(ordered)
    known = _synsets(num_classes)
    strangers = [name for name in ordered if name not in known]
    if strangers and num_classes is None:
        return in_order, len(ordered)
    if strangers:
        raise DataError(
            f"{len(strangers)} of {len(ordered)} classes are not among ImageNet's {len(known)}: "
            + ", ".join(strangers[:5]),
            where=os.fspath(where),
            remedy=f"remove them, or use a model of {len(ordered)} classes",
        )
    return {name: known[name] for name in ordered}, len(known)


def _synsets(num_classes: int | None) -> Mapping[str, int]:
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": num_classes}) or "imagenet-1k"
    return {name: index for index, name in enumerate(ImageNetInfo(subset).label_names())}
