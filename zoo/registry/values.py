"""Checking the values of options against a constructor's annotations, before it is called."""

from __future__ import annotations

import math
import operator
import types
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from zoo.registry.constraints import Above, AtLeast, AtMost, Below, Odd

CONSTRAINTS = (Above, AtLeast, AtMost, Below, Odd)
SEQUENCES = (Sequence, list, tuple)
PHRASES: dict[Any, str] = {
    int: "a whole number",
    float: "a finite number",
    bool: "True or False",
    str: "a string",
    type(None): "None",
}


@cache
def hints_of(target: Any) -> Mapping[str, Any]:
    """The annotation of each option of a class or function; empty where they cannot be read."""
    function = target.__init__ if isinstance(target, type) else target
    try:
        return get_type_hints(function, include_extras=True)
    except Exception:  # a name that exists only for a type checker, or no annotations at all
        return {}


def converted(value: Any, annotation: Any) -> Any:
    """The value as its annotation has it: 2.0 becomes 2 for an int, and 2 becomes 2.0 for a float.

    An annotation that is not made of numbers, strings, booleans, literals, and of sequences and
    mappings of these, allows every value.

    Raises:
        ValueError: the annotation does not allow the value.
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        return _constrained(value, annotation)
    if origin in (Union, types.UnionType):
        return _member(value, annotation)
    if origin is Literal:
        return _choice(value, get_args(annotation))
    if origin in SEQUENCES:
        return _items(value, annotation)
    if origin is Mapping:
        return _entries(value, annotation)
    return _plain(value, annotation)


def phrase(annotation: Any) -> str:
    """What an annotation allows, in words such as "a whole number of at least 1"."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        marks = [str(mark) for mark in arguments[1:] if isinstance(mark, CONSTRAINTS)]
        return " ".join([phrase(arguments[0]), " and ".join(marks)]).strip()
    if origin in (Union, types.UnionType):
        return " or ".join(phrase(each) for each in arguments)
    if origin is Literal:
        return f"one of {', '.join(map(repr, arguments))}"
    if origin in SEQUENCES:
        return _phrase_of_items(origin, arguments)
    if origin is Mapping:
        return f"a mapping to {phrase(arguments[1])}"
    return PHRASES.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _phrase_of_items(origin: Any, arguments: tuple[Any, ...]) -> str:
    if not arguments:
        return "a sequence"
    if origin is not tuple or arguments[-1] is ...:
        return f"a sequence, each item {phrase(arguments[0])}"
    words = [phrase(each) for each in arguments]
    if len(set(words)) == 1:
        return f"a sequence of {len(words)}, each item {words[0]}"
    return f"a sequence of {len(words)}: {', '.join(words)}"


def _constrained(value: Any, annotation: Any) -> Any:
    kind, *marks = get_args(annotation)
    found = converted(value, kind)
    for mark in marks:
        if isinstance(mark, CONSTRAINTS) and not mark.allows(found):
            raise ValueError(str(mark))
    return found


def _member(value: Any, annotation: Any) -> Any:
    """The value as the first member of a union that takes it; None is told apart at once."""
    members = get_args(annotation)
    if value is None and type(None) in members:
        return None
    for member in sorted(members, key=lambda each: each is float):  # 2 stays whole where both fit
        try:
            return converted(value, member)
        except ValueError:
            continue
    raise ValueError(phrase(annotation))


def _choice(value: Any, choices: tuple[Any, ...]) -> Any:
    for choice in choices:
        if value is choice or (type(value) is type(choice) and value == choice):
            return choice
    raise ValueError("none of the choices")


def _items(value: Any, annotation: Any) -> Any:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence | AbstractSet):
        raise ValueError("not a sequence")
    arguments = get_args(annotation)
    if not arguments:
        return cast(Any, value)
    items = list(cast(Sequence[Any], value))
    if get_origin(annotation) is tuple and arguments[-1] is not ...:
        if len(items) != len(arguments):
            raise ValueError(f"{len(arguments)} items")
        return tuple(converted(item, kind) for item, kind in zip(items, arguments, strict=True))
    found = [converted(item, arguments[0]) for item in items]
    if isinstance(value, list):
        return found
    return set(found) if isinstance(value, AbstractSet) else tuple(found)


def _entries(value: Any, annotation: Any) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError("not a mapping")
    kinds = get_args(annotation)
    entries = cast(Mapping[Any, Any], value).items()
    return {converted(key, kinds[0]): converted(item, kinds[1]) for key, item in entries}


def _plain(value: Any, kind: Any) -> Any:
    if kind is bool:
        return _require(isinstance(value, bool), value)
    if kind is int:
        return _whole(value)
    if kind is float:
        return _finite(value)
    if kind is str:
        return _require(isinstance(value, str), value)
    if kind is type(None):
        return _require(value is None, value)
    return value


def _require(allowed: bool, value: Any) -> Any:
    if not allowed:
        raise ValueError("of another type")
    return value


def _whole(value: Any) -> int:
    _require(not isinstance(value, bool), value)
    whole: Any = int(value) if isinstance(value, float) and value.is_integer() else value
    try:
        return operator.index(whole)
    except TypeError:
        raise ValueError("not whole") from None


def _finite(value: Any) -> float:
    _require(not isinstance(value, bool | str), value)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("not a number") from None
    return cast(float, _require(math.isfinite(number), number))
