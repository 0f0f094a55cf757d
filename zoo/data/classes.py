"""From the class names of a data set to the class indices of a model: by name or number, or
refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from zoo.data.vocabulary import ModelClasses, are_wordnet_ids, imagenet, lookup
from zoo.errors import DataError

_NUMBERED = re.compile(r"(\D*)(\d+)(\D*)\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMap:
    """Which class of the model each class of the data is.

    Attributes:
        indices: the class index of each name.
        numbers: the class index of each number of the data, where its classes have numbers.
        count: the number of classes that the indices are of.
        how: what they were matched by, for a reader.
        doubt: why the match may be wrong, where only the order of the names could decide.
    """

    indices: Mapping[str, int]
    count: int
    how: str
    doubt: str = ""
    numbers: Mapping[int, int] = field(default_factory=dict[int, int])

    def text(self, most: int = 4) -> str:
        """The map for a reader: how it was made, and its first classes."""
        pairs = sorted(self.indices.items(), key=lambda pair: pair[1])
        shown = [f"{name} = {index}" for name, index in pairs[:most]]
        shown += ["..."] if len(pairs) > most else []
        return f"{len(pairs)} by {self.how}: {', '.join(shown)}"


@dataclass(frozen=True, slots=True)
class _Names:
    """What the rules below read."""

    names: Sequence[str]
    model: ModelClasses
    where: str = ""
    numbers: Sequence[int] | None = field(default=None)

    def map(self, found: Iterable[int | None], how: str, doubt: str = "") -> ClassMap:
        indices = [index for index in found if index is not None]
        return ClassMap(
            indices=dict(zip(self.names, indices, strict=True)),
            numbers=dict(zip(self.numbers or (), indices, strict=bool(self.numbers))),
            count=self.model.count or len(indices),
            how=how,
            doubt=doubt,
        )

    def fail(self, what: str) -> DataError:
        remedy = "a model of these classes, or names that are the model's own or class numbers"
        return DataError(what, where=self.where, remedy=remedy)

    def other_count(self) -> DataError:
        return self.fail(
            f"the data set has {len(self.names)} classes and the model {self.model.count}"
        )

    def strangers(self, found: Sequence[int | None], whose: str) -> DataError:
        unknown = [name for name, index in zip(self.names, found, strict=True) if index is None]
        return self.fail(
            f"{len(unknown)} of {len(found)} classes are not among {whose}: "
            + ", ".join(unknown[:5])
        )


def match_names(
    names: Iterable[str], model: ModelClasses, where: str | os.PathLike[str] = ""
) -> ClassMap:
    """Match classes that have names but no numbers of their own, as folders have.

    The first of these rules that applies decides:

    1. The model names its classes: each name must be one of them.
    2. All names are WordNet ids: they are indices in the ImageNet that has as many classes as the
       model, or in ImageNet-1k where nothing says how many.
    3. All names are numbers, or one word with a number (`class0`): a number within the model's
       classes is the class; as many other numbers as the model has classes (1 to K, say) count in
       their order.
    4. The model has as many classes as an ImageNet and names none: the words of that ImageNet.
    5. There are as many names as the model has classes: their natural order (2 before 10), as in
       timm.

    Raises:
        DataError: the classes cannot be matched, or only some of them.
    """
    given = _Names(natural_order(names), model, os.fspath(where))
    for rule in _RULES:
        if (found := rule(given)) is not None:
            return found
    raise given.other_count()


def match_numbers(
    names: Mapping[int, str], model: ModelClasses, where: str | os.PathLike[str] = ""
) -> ClassMap:
    """Match classes that have numbers of their own beside their names, as the features of a data
    set have.

    The numbers are those of the model unless the names say otherwise. They do so if the model has
    these names, if they are the numbers 0 to K - 1 in another order, or if they are words of
    ImageNet.

    Raises:
        DataError: the numbers of classes differ, or some names are the model's and others are not.
    """
    order = sorted(names)
    given = _Names([names[i] for i in order], model, os.fspath(where), order)
    for rule in (_own_names, _permuted_numbers, _imagenet_words):
        if (found := rule(given)) is not None:
            return found
    if model.count not in (None, len(order)):
        raise given.other_count()
    return given.map(order, "the data set's own numbers")


def class_indices(
    names: Iterable[str], num_classes: int | None, where: str | os.PathLike[str] = ""
) -> tuple[Mapping[str, int], int]:
    """The index of each name, and the number of classes, by the rules of `match_names`.

    Raises:
        DataError: the names cannot be matched with so many classes.
    """
    found = match_names(names, ModelClasses(num_classes), where)
    return found.indices, found.count


def natural_order(names: Iterable[str]) -> list[str]:
    """Names by code point, except that numbers in them go by their value: 2 before 10."""
    return sorted(set(names), key=lambda name: (_parts(name), name))


def _parts(name: str) -> list[str | int]:
    split = re.split(r"([0-9]+)", name)
    return [int(part) if i % 2 else part for i, part in enumerate(split)]


def _own_names(given: _Names) -> ClassMap | None:
    """Rule 1: all names are the model's, or none is and numbers stand for them."""
    if not given.model.names:
        return None
    found = lookup(given.names, given.model.names, given.model.descriptions)
    if None not in found:
        return given.map(found, "the model's own label names")
    if given.numbers is not None and len(found) == given.model.count:
        named = [(own, i) for own, i in zip(given.numbers, found, strict=True) if i is not None]
        if named and all(own == index for own, index in named):
            return given.map(given.numbers, "the data set's own numbers")
    if any(index is not None for index in found) or not _are_numbers(given.names):
        raise given.strangers(found, "the model's label names")
    return None


def _wordnet_ids(given: _Names) -> ClassMap | None:
    """Rule 2."""
    known = imagenet(given.model.count) if are_wordnet_ids(given.names) else None
    if known is None:
        return None
    place = {name: index for index, name in enumerate(known.names.values())}
    found = [place.get(name) for name in given.names]
    if None not in found:
        whole = _Names(given.names, ModelClasses(len(known.names)), given.where)
        return whole.map(found, f"WordNet ids of {known.title}")
    if given.model.count is None:
        return None
    raise given.strangers(found, f"{known.title}'s {len(known.names)}")


def _class_numbers(given: _Names) -> ClassMap | None:
    """Rule 3."""
    numbers, bare = _numbers(given.names)
    if not numbers:
        return None
    if len(set(numbers)) < len(numbers):
        if given.model.count is None:
            return None
        twice = next(n for n in numbers if numbers.count(n) > 1)
        raise given.fail(f"two classes have the number {twice}")
    count = given.model.count
    if count in (None, len(numbers)):
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        places = [order.index(i) for i in range(len(numbers))]
        how = "number" if places == numbers else "the order of their numbers"
        return given.map(places, how)
    if not bare or sorted(numbers) == list(range(len(numbers))):
        raise given.other_count()
    if max(numbers) >= count:
        raise given.fail(
            f"there is a class {max(numbers)}, and the model has classes 0 to {count - 1}"
        )
    return given.map(numbers, "number")


def _permuted_numbers(given: _Names) -> ClassMap | None:
    """Names 0 to K - 1 in another order, which sorting as text gives: 0, 1, 10, 11, 2."""
    numbers, _ = _numbers(given.names)
    if given.model.count not in (None, len(numbers)) or not numbers:
        return None
    return given.map(numbers, "number") if sorted(numbers) == list(range(len(numbers))) else None


def _imagenet_words(given: _Names) -> ClassMap | None:
    """Rule 4. Where hardly any word is ImageNet's, the model's classes are others."""
    known = None if given.model.names or given.model.count is None else imagenet(given.model.count)
    if known is None:
        return None
    found = lookup(given.names, known.names, known.descriptions)
    if None not in found:
        return given.map(found, f"the words of {known.title}")
    if given.numbers is not None and len(found) == given.model.count:
        pairs = zip(given.numbers, found, strict=True)
        if all(index in (None, own) for own, index in pairs):
            return None
    if 2 * sum(index is not None for index in found) > len(found):
        raise given.strangers(found, f"{known.title}'s words")
    return None


def _in_order(given: _Names) -> ClassMap | None:
    """Rule 5. Says so where torchvision or timm would sort otherwise."""
    if given.model.count not in (None, len(given.names)) or given.model.names:
        return None
    from timm.utils.misc import natural_key

    names = list(given.names)
    agree = names == sorted(names) == sorted(names, key=natural_key)
    doubt = "" if agree else (
        "classes are matched by their order, and torchvision and timm sort these names "
        "differently: the numbers are right only if the model was trained in the order shown"
    )  # fmt: skip
    return given.map(range(len(names)), "order", doubt)


def _numbers(names: Sequence[str]) -> tuple[list[int], bool]:
    """Numbers that the names are, or that one word has in all of them; and whether no word is."""
    matches = [_NUMBERED.match(name) for name in names]
    words = {(m[1], m[3]) for m in matches if m}
    if None in matches or len(words) != 1:
        return [], False
    return [int(m[2]) for m in matches if m], words == {("", "")}


def _are_numbers(names: Sequence[str]) -> bool:
    return _numbers(names)[1]


_RULES: tuple[Callable[[_Names], ClassMap | None], ...] = (
    _own_names, _wordnet_ids, _class_numbers, _imagenet_words, _in_order,
)  # fmt: skip
