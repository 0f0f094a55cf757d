"""What a mechanism refuses by itself: what follows from its mathematics, not from its annotations.

Types, choices and ranges of options are said in a constructor's annotations, and checked before it
is called (`zoo.registry.options`).
"""

from __future__ import annotations

from typing import Any, NoReturn

from zoo.errors import OptionError
from zoo.registry.values import converted


def refuse(mechanism: str, what: str, remedy: str = "") -> NoReturn:
    """Raise the `OptionError` of `mechanism`."""
    raise OptionError(what, where=f"attention {mechanism!r}", remedy=remedy)


def check_int(mechanism: str, name: str, value: Any, minimum: int = 1) -> int:
    """`value` as an int of at least `minimum`, for what comes in after the constructor."""
    try:
        number = converted(value, int)
    except ValueError:
        number = minimum - 1
    if number < minimum:
        refuse(mechanism, f"{name}={value!r} is not a whole number of at least {minimum}")
    return number


def check_divisible(mechanism: str, name: str, value: int, by: str, divisor: int) -> None:
    """`value` is a multiple of `divisor`."""
    if value % divisor:
        refuse(mechanism, f"{name}={value} is not divisible by {by}={divisor}")


def agree(mechanism: str, **claims: Any) -> Any:
    """The one value that all given settings of authors' code claim (None: not given), or None.

    Each claim is a value, or a pair (value of the setting, what follows from it).
    """
    given = {k: v if isinstance(v, tuple) else (v, v) for k, v in claims.items() if v is not None}
    if not given:
        return None
    (first, (value, result)), *others = given.items()
    for name, (other, implied) in others:
        if implied != result:
            refuse(
                mechanism,
                f"{first}={value!r} and {name}={other!r} contradict each other",
                remedy=f"give one of {first}= and {name}=",
            )
    return result
