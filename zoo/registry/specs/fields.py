"""Checks of the fields of specs. What a plugin states wrongly is one clear `SpecError`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar, cast, get_args

from zoo.errors import SpecError

S = TypeVar("S")
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z")


def check_names(spec: str, name: object, aliases: object = ()) -> None:
    """Refuse a name or an alias that is not a lower-case identifier."""
    check_strings(f"{spec}({name!r})", aliases=aliases)
    for each in (name, *cast(tuple[object, ...], aliases)):
        if not isinstance(each, str) or not _NAME.match(each):
            raise SpecError(
                f"{spec} name {each!r} is not a lower-case identifier",
                remedy='use letters, digits and underscores, as in name="my_attention"',
            )


def check_target(where: str, name: str, target: object) -> None:
    """Refuse a target that is not of the form `package.module:attribute`."""
    if not isinstance(target, str) or not _TARGET.match(target):
        raise SpecError(
            f"target {target!r} is not of the form 'package.module:attribute'",
            where=where,
            remedy=f'target="my_package.{name}:MyModule"',
        )


def check_choices(where: str, record: object, **choices: object) -> None:
    """Refuse a field that is not one of the strings of its literal type."""
    for key, literal in choices.items():
        value, allowed = getattr(record, key), get_args(literal)
        if value not in allowed:
            shown = ", ".join(map(repr, allowed))
            raise SpecError(f"{key}={value!r} is none of {shown}", where=where)


def check_strings(where: str, **values: object) -> None:
    """Refuse a field that is not a tuple of strings."""
    for key, value in values.items():
        items = cast(tuple[object, ...], value) if isinstance(value, tuple) else (None,)
        if not all(isinstance(item, str) for item in items):
            raise SpecError(f"{key}={value!r} is not a tuple of strings", where=where)


def check_mappings(where: str, **values: object) -> None:
    """Refuse a field that is not a mapping with strings as keys."""
    for key, value in values.items():
        keys = cast(Mapping[object, Any], value) if isinstance(value, Mapping) else (None,)
        if not all(isinstance(each, str) for each in keys):
            raise SpecError(f"{key}={value!r} is not a mapping", where=where)


def says_where_fields_are(**records: type) -> Callable[[type[S]], type[S]]:
    """A class decorator that refuses fields of other records and names these records."""
    homes = {
        field.name: f"{key}=zoo.{record.__name__}({field.name}=...)"
        for key, record in records.items()
        for field in fields(record)
    }

    def decorate(cls: type[S]) -> type[S]:
        build = cls.__init__

        def __init__(self: S, **given: Any) -> None:
            own = {field.name for field in fields(cast(Any, cls))}
            wrong = [name for name in given if name not in own]
            if wrong:
                raise SpecError(
                    f"it has no field {' and no field '.join(map(repr, wrong))}",
                    where=f"{cls.__name__}({given.get('name')!r})",
                    remedy=", ".join(homes[name] for name in wrong if name in homes),
                )
            build(self, **given)

        cls.__init__ = wraps(build)(__init__)
        return cls

    return decorate


def check_records(where: str, spec: object, **kinds: type) -> None:
    """Refuse a field that is not a record of its kind."""
    for key, kind in kinds.items():
        value = getattr(spec, key)
        if not isinstance(value, kind):
            raise SpecError(
                f"{key}={value!r:.80} is no {kind.__name__}",
                where=where,
                remedy=f"{key}=zoo.{kind.__name__}(...)",
            )
