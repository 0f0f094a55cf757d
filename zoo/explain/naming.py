"""What the classes of a model are called, and the class that a user names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from torch import nn

from zoo.data.vocabulary import ModelClasses, fold, imagenet, lookup
from zoo.errors import UnknownNameError, UsageError


@dataclass(frozen=True, slots=True)
class ClassNames:
    """The names of K classes.

    Attributes:
        classes: as the model states them, or ImageNet's.
        remark: where the names are not the model's own.
    """

    classes: ModelClasses
    remark: str = ""

    def of(self, index: int) -> str:
        """What a class is called; its number where nobody named it."""
        said = self.classes.descriptions.get(index) or self.classes.names.get(index)
        return said.split(",")[0].strip() if said else f"class {index}"

    def index(self, target: int | str) -> int:
        """The class that is meant. A text that is the name of one class is that name, also if it is
        a number.

        Raises:
            UnknownNameError: there is none, with the closest names. UsageError: no such number.
        """
        named = [index for index, name in self.classes.names.items() if name == target]
        if len(named) == 1:
            return named[0]
        if isinstance(target, int) or target.isdecimal():
            return self._number(int(target))
        (found,) = lookup([target], self.classes.names, self.classes.descriptions)
        if found is None:
            raise self._unknown(target)
        return found

    def _number(self, index: int) -> int:
        count = self.classes.count
        if index < 0 or count is not None and index >= count:
            known = f"0 to {count - 1}" if count is not None else "0 and more"
            raise UsageError(
                f"there is no class {index}: the model has classes {known}",
                where="target",
                remedy=f"target={max(0, (count or 1) - 1)}, or the name of a class",
            )
        return index

    def _unknown(self, target: str) -> UnknownNameError:
        words = {
            fold(word): word.strip()
            for text in (*self.classes.names.values(), *self.classes.descriptions.values())
            for word in text.split(",")
        }
        near = get_close_matches(fold(target), list(words), 3, cutoff=0.6)
        named = [word for key, word in words.items() if fold(target) in key][:3]
        close = list(dict.fromkeys([*(words[key] for key in near), *named]))[:4]
        hint = f"; the closest are {', '.join(map(repr, close))}" if close else ""
        if not words:
            hint = "; the model does not name its classes"
        return UnknownNameError(
            f"no one class is called {target!r}{hint}",
            where="target",
            remedy=f"target={close[0]!r}" if close else "target=0, the number of a class",
        )


def class_names(model: nn.Module, count: int | None, *, classifies: bool) -> ClassNames:
    """The model's own names: those of its file or run, or of its config; else ImageNet's.

    Args:
        classifies: whether the output is one class an image, as of ImageNet's classifiers.
    """
    stated: Any = getattr(model, "pretrained_cfg", None)
    own = ModelClasses.of(count, stated if isinstance(stated, Mapping) else {})
    if own.names:
        return ClassNames(own)
    labels = getattr(getattr(model, "config", None), "id2label", None)  # transformers
    own = ModelClasses.of(count, {"label_names": labels})
    if own.names:
        return ClassNames(own)
    known = imagenet(count) if classifies and count else None
    if known is None:
        return ClassNames(ModelClasses(count))
    remark = f"the model names no classes: those of {known.title} are taken"
    return ClassNames(known, "" if stated else remark)
