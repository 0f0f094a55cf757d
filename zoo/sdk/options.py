"""Constructor options: one clear `OptionError` for a value that cannot be, torch-free.

Authors, papers and timm name one thing in several ways (`reduction`, `reduced_channels`,
`rd_ratio`). A constructor takes them all, and they must agree.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection
from typing import Any, NoReturn, SupportsIndex, cast

from zoo.errors import OptionError


def refuse(mechanism: str, what: str, remedy: str = "") -> NoReturn:
    """Raise the `OptionError` of `mechanism`."""
    raise OptionError(what, where=f"attention '{mechanism}'", remedy=remedy)


def check_int(mechanism: str, name: str, value: Any, minimum: int = 1) -> int:
    """`value` as an int of at least `minimum`; 2.0 counts, True does not."""
    try:
        whole = int(value) if isinstance(value, float) and value.is_integer() else value
        number = operator.index(cast(SupportsIndex, whole))
    except TypeError:
        number = minimum - 1
    if isinstance(value, bool) or number < minimum:
        refuse(mechanism, f"{name}={value!r} is not a whole number of at least {minimum}")
    return number


def check_number(
    mechanism: str, name: str, value: Any, *, above: float = 0.0, at_most: float = math.inf
) -> float:
    """`value` as a finite float with above < value <= at_most."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not above < value <= at_most:
        limit = "" if math.isinf(at_most) else f" and at most {at_most:g}"
        refuse(mechanism, f"{name}={value!r} is not a finite number above {above:g}{limit}")
    return float(value)


def check_share(mechanism: str, name: str, value: Any) -> float:
    """`value` as a float from 0 to 1, both included."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:
        refuse(mechanism, f"{name}={value!r} is not a number from 0 to 1")
    return float(value)


def check_choice(mechanism: str, name: str, value: Any, choices: Collection[Any]) -> Any:
    """`value`, which is one of `choices`."""
    if not any(value is choice or value == choice for choice in choices):
        refuse(mechanism, f"{name}={value!r} is none of {', '.join(map(repr, choices))}")
    return value


def check_bool(mechanism: str, name: str, value: Any) -> bool:
    """`value`, which is True or False."""
    if not isinstance(value, bool):
        refuse(mechanism, f"{name}={value!r} is neither True nor False")
    return value


def check_divisible(mechanism: str, name: str, value: int, by: str, divisor: int) -> None:
    """`value` is a multiple of `divisor`."""
    if value % divisor:
        refuse(mechanism, f"{name}={value} is not divisible by {by}={divisor}")


def agree(mechanism: str, **claims: Any) -> Any:
    """The one value that all given options claim (None: not given), or None.

    Each claim is a value, or a pair (value of the option, what follows from it).
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


def hidden_width(
    mechanism: str,
    channels: int,
    *,
    default: int,
    minimum: int = 0,
    reduction: float | None = None,
    ratio: float | None = None,
    rd_ratio: float | None = None,
    rd_divisor: int = 8,
    rd_limit: float = 0.0,
    **widths: int | None,
) -> int:
    """Width of a bottleneck, from whichever options are given; they must agree.

    Args:
        channels: C.
        default: the width if no option says anything (at least 1 is taken).
        minimum: the least width that `reduction` and `ratio` give; 0 refuses an empty layer.
        reduction: the authors' rule, floor(C / reduction).
        ratio: the same by its reciprocal, floor(C * ratio).
        rd_ratio, rd_divisor, rd_limit: timm's rule, C * rd_ratio to a multiple of rd_divisor, the
            next one if that is less than rd_limit of it (`timm.layers.make_divisible`).
        **widths: options that name the width itself (`reduced_channels`, `rd_channels`).
    """
    claims: dict[str, Any] = {}
    for name, value in (("reduction", reduction), ("ratio", ratio)):
        if value is not None:
            claims[name] = (value, _floor(mechanism, channels, name, value, minimum))
    if rd_ratio is not None:
        exact = channels * check_number(mechanism, "rd_ratio", rd_ratio)
        divisor = check_int(mechanism, "rd_divisor", rd_divisor)
        claims["rd_ratio"] = (rd_ratio, _make_divisible(exact, divisor, rd_limit))
    for name, value in widths.items():
        if value is not None:
            claims[name] = check_int(mechanism, name, value)
    width = agree(mechanism, **claims)
    return max(1, default) if width is None else width


def _floor(mechanism: str, channels: int, name: str, value: float, minimum: int) -> int:
    value = check_number(mechanism, name, value)
    exact = channels / value if name == "reduction" else channels * value
    width = max(minimum, math.floor(exact + 1e-9))  # 49 * (1 / 49) is 0.99...
    if width < 1:
        refuse(mechanism, f"{name}={value:g} leaves no hidden channel of channels={channels}")
    return width


def _make_divisible(exact: float, divisor: int, limit: float) -> int:
    width = max(divisor, int(exact + divisor / 2) // divisor * divisor)
    return width + divisor if width < limit * exact else width
