"""Shared by functions that read settings of authors' code (`OptionNames.read`). No torch."""

from __future__ import annotations

from typing import Any, NoReturn

from zoo.errors import OptionError


def refuse(mechanism: str, what: str, remedy: str = "") -> NoReturn:
    """Raise the `OptionError` of `mechanism`."""
    raise OptionError(what, where=f"attention {mechanism!r}", remedy=remedy)


def whole(mechanism: str, name: str, value: Any) -> int:
    """`value`, which is a whole number of at least 1."""
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        refuse(mechanism, f"{name}={value!r} is not a whole number of at least 1")
    return number


def imply(mechanism: str, options: dict[str, Any], setting: str, option: str, value: Any) -> None:
    """Give `option` the value that `setting` ("head_dim=8") implies; another is refused."""
    given = options.get(option)
    if given is None:
        options[option] = value
    elif (tuple(given) if isinstance(given, list) else given) != value:
        refuse(
            mechanism,
            f"{option}={given!r} and {setting} contradict each other",
            f"leave one of them out, or give {option}={value!r}",
        )
