"""A data set with the classes of a model, matched by name where both have names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import nn

from zoo.data.base import ImageData, Relabelled, known_labels
from zoo.data.classes import ClassMap, match_names, match_numbers
from zoo.data.sequences import sequence_of
from zoo.data.vocabulary import by_index, model_classes
from zoo.errors import DataError


def matched(data: ImageData, model: nn.Module) -> tuple[ImageData, ClassMap | None]:
    """The data set as the model numbers its classes, and how that was found.

    None where the data set does not name its classes, or the model reads sequences.

    Raises:
        DataError: the classes cannot be matched; see `match_names` and `match_numbers`.
    """
    names = by_index(getattr(data, "class_names", None))
    if not names or sequence_of(model):
        return data, None
    classes = model_classes(model)
    if getattr(data, "numbered", True):
        found = match_numbers(names, classes, data.name)
        numbers = found.numbers
    else:
        found = match_names(names.values(), classes, data.name)
        numbers = {own: found.indices[name] for own, name in names.items()}
    _check_named(data, names)
    if all(own == number for own, number in numbers.items()) and data.num_classes == found.count:
        return data, found
    return Relabelled(data, numbers, found.count), found


def _check_named(data: ImageData, names: Mapping[int, str]) -> None:
    labels = known_labels(data)
    if labels is None:
        return
    strange = np.flatnonzero(~np.isin(labels, list(names)))
    if len(strange):
        raise DataError(
            f"image {strange[0]} has label {labels[strange[0]]}, which is none of the "
            f"{len(names)} classes that the data set names",
            where=data.name,
        )
