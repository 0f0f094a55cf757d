"""What the classes of a model are called, and how names are found among them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.data.sequences import label_classes

_WORDNET_ID = re.compile(r"n\d{8}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class ModelClasses:
    """The classes of a model.

    Attributes:
        count: the number of classes; None if it is not known.
        names, descriptions: by class index; empty where the model does not say.
        title: what the names are called as a whole.
    """

    count: int | None = None
    names: Mapping[int, str] = field(default_factory=dict[int, str])
    descriptions: Mapping[int, str] = field(default_factory=dict[int, str])
    title: str = ""

    @classmethod
    def of(cls, count: int | None, config: Mapping[str, Any]) -> ModelClasses:
        """The classes that `label_names` and `label_descriptions` of a timm config state, as a list
        or by index.

        If there are not `count` of them, they belong to another head, and are passed over.
        """
        names = _stated(count, config)
        stated = config.get("label_descriptions")
        described = stated if isinstance(stated, Mapping) else {}
        if not described and are_wordnet_ids(list(names.values())):
            described = dict(zip(names.values(), words(list(names.values())), strict=True))
        texts = {i: str(described[name]) for i, name in names.items() if name in described}
        return cls(count, names, texts)


def model_classes(model: Any) -> ModelClasses:
    """How many classes a model has, and what its settings call them."""
    config = getattr(model, "pretrained_cfg", None)
    return ModelClasses.of(label_classes(model), config if isinstance(config, Mapping) else {})


def _stated(count: int | None, config: Mapping[str, Any]) -> dict[int, str]:
    """The label names of a timm config, if they are of `count` classes."""
    names = by_index(config.get("label_names"))
    whole = isinstance(config.get("label_names"), Mapping) or len(names) == count
    if count is not None:
        same = config.get("num_classes") in (None, count) and whole
        names = names if same and max(names, default=0) < count else {}
    if all(name == f"LABEL_{index}" for index, name in names.items()):
        return {}  # what `transformers` writes where nobody named the classes
    return names


def by_index(names: Any) -> dict[int, str]:
    """Names by index, from a list, or from a table whose keys JSON has made text."""
    pairs: Iterable[tuple[Any, Any]]
    if isinstance(names, Mapping):
        pairs = names.items()
    else:
        pairs = enumerate(names) if isinstance(names, list | tuple) else ()
    try:
        return {int(index): str(name) for index, name in pairs}
    except (TypeError, ValueError):
        return {}


def imagenet(count: int | None) -> ModelClasses | None:
    """The ImageNet of so many classes; ImageNet-1k if the number is not known; None if there is
    none.
    """
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": count}) if count else "imagenet-1k"
    if subset is None:
        return None
    info = ImageNetInfo(subset)
    names = dict(enumerate(info.label_names()))
    words = {index: info.label_name_to_description(name) for index, name in names.items()}
    return ModelClasses(len(names), names, words, subset)


def are_wordnet_ids(names: Sequence[str]) -> bool:
    """Whether names are those of ImageNet's folders, such as n01440764."""
    return bool(names) and all(map(_WORDNET_ID.match, names))


def words(ids: Sequence[str]) -> list[str]:
    """What WordNet ids mean, such as "tench, Tinca tinca". An id that no ImageNet has stays as it
    is.
    """
    known = imagenet(21843)
    assert known is not None
    meaning = {name: known.descriptions[index] for index, name in known.names.items()}
    return [meaning.get(name, name) for name in ids]


def lookup(
    wanted: Sequence[str], names: Mapping[int, str], descriptions: Mapping[int, str]
) -> list[int | None]:
    """The class of each wanted name; None where there is none, or more than one.

    Names are compared as they are, then without regard to case, spaces, `_` and `-`, then with the
    descriptions, then word by word, where names or descriptions list several. WordNet ids by which
    no class is called are looked up by what they mean.
    """
    if are_wordnet_ids(wanted) and not set(wanted) & set(names.values()):
        wanted = words(wanted)
    whole = [
        _unique(names.items()),
        _unique((i, fold(n)) for i, n in names.items()),
        _unique((i, fold(text)) for i, text in descriptions.items()),
    ]
    single = [_unique(_each_word(names)), _unique(_each_word(descriptions))]
    return [_find(whole, single, name) for name in wanted]


def fold(name: str) -> str:
    """A name without regard to its case and to how its words are joined."""
    return " ".join(re.split(r"[\s_-]+", name.casefold().strip()))


def _find(
    whole: Sequence[Mapping[str, int]], single: Sequence[Mapping[str, int]], name: str
) -> int | None:
    for table, spelling in zip(whole, (name, fold(name), fold(name)), strict=True):
        if spelling in table:
            return table[spelling]
    for table in single:
        found = {table[fold(word)] for word in name.split(",") if fold(word) in table}
        if len(found) == 1:
            return found.pop()
    return None


def _each_word(texts: Mapping[int, str]) -> Iterator[tuple[int, str]]:
    for index, text in texts.items():
        yield from ((index, word) for word in {fold(part) for part in text.split(",")})


def _unique(pairs: Iterable[tuple[int, str]]) -> dict[str, int]:
    """Index by name, without the names of several classes."""
    found: dict[str, int] = {}
    several: set[str] = set()
    for index, name in pairs:
        if found.setdefault(name, index) != index:
            several.add(name)
    return {name: index for name, index in found.items() if name not in several}
