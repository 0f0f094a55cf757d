"""One door for options: the names and values that a user gives become a constructor's own.

Authors, papers and timm name one thing in several ways. What they call it is data in the spec
(`OptionNames`). It is read here, for `create_attention`, `create_model`, `zoo verify` and
`zoo convert` alike. What is unknown, contradictory or of another type is refused before
anything is built.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from zoo.errors import OptionError
from zoo.registry.constructor import Constructor, option_names
from zoo.registry.specs import AttentionSpec, Width
from zoo.registry.targets import resolve

TIMM_WIDTH = ("ratio", "rd_ratio", "rd_channels", "rd_divisor", "rd_limit")


def normalise(
    spec: AttentionSpec,
    target: Any,
    channels: int | None,
    given: Mapping[str, Any],
    owner: str = "",
) -> dict[str, Any]:
    """The options of the constructor, from those that were given under any name.

    Args:
        spec: the spec of the mechanism.
        target: its class or function, whose signature says which options there are.
        channels: C of the map. It fills whatever the constructor calls the channels.
        given: the options of the user, or the settings of authors' code.
        owner: the plugin, for messages.

    Raises:
        OptionError: an option is unknown, missing, contradictory or has a wrong value. The message
            names the option, the mechanism and what is allowed.
    """
    options = _own_names(spec, given)
    options = _read(spec, {**_channels(spec, channels, options), **options}, owner)
    options = {**_defaults(spec, options), **options}
    width = _width_names(spec)
    others = {name: value for name, value in options.items() if name not in width}
    _refuse_unknown(spec, target, others)
    _require_needed(spec, target, options)
    options |= _checked(spec, target, others)
    return _checked(spec, target, _one_width(spec, target, options, owner))


def check_names(spec: AttentionSpec, target: Any, given: Mapping[str, Any]) -> None:
    """Refuse unknown options before the channels are known.

    Raises:
        OptionError: as `normalise` does.
    """
    options = _own_names(spec, given)
    if not spec.options.read:
        width = _width_names(spec)
        _refuse_unknown(spec, target, {k: v for k, v in options.items() if k not in width})


def _own_names(spec: AttentionSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, under the constructor's names; a name of authors' code has one value."""
    found: dict[str, Any] = {}
    said: dict[str, str] = {}
    for name, value in given.items():
        if name in spec.options.ignored:
            continue
        if name in spec.options.fixed:
            _require_fixed(spec, name, value)
            continue
        own = spec.options.aliases.get(name, name)
        if own in found and not _same(found[own], value):
            raise _contradiction(spec, (said[own], found[own]), (name, value))
        found[own], said[own] = value, name
    return found


def _read(spec: AttentionSpec, options: dict[str, Any], owner: str) -> dict[str, Any]:
    """What the spec's own function makes of the options, whose values nobody has checked yet."""
    if not spec.options.read:
        return options
    return _constructor(spec).read(options, resolve(spec.options.read, owner))


def _require_fixed(spec: AttentionSpec, name: str, value: Any) -> None:
    only = spec.options.fixed[name]
    if not _same(value, only):
        raise _error(
            spec,
            f"{spec.name} is written for {name}={only!r} alone, not {name}={value!r}",
            f"leave {name}= out",
        )


def _channels(
    spec: AttentionSpec, channels: int | None, options: Mapping[str, Any]
) -> dict[str, int]:
    if channels is None:
        return {}
    if isinstance(channels, bool) or not isinstance(cast(object, channels), int) or channels < 1:
        raise _error(spec, f"channels={channels!r} is not a whole number of at least 1")
    return {name: channels for name in spec.options.channels if name not in options}


def _width_names(spec: AttentionSpec) -> tuple[str, ...]:
    width = spec.options.width
    return ("reduction", width.option, *TIMM_WIDTH) if width else ()


def _defaults(spec: AttentionSpec, options: Mapping[str, Any]) -> dict[str, Any]:
    """The spec's own values, but none of the width where that is given in any form."""
    width = _width_names(spec)
    stated = any(options.get(name) is not None for name in width)
    return {k: v for k, v in spec.options.defaults.items() if not (stated and k in width)}


def _one_width(
    spec: AttentionSpec, target: Any, options: dict[str, Any], owner: str
) -> dict[str, Any]:
    """The width of a bottleneck once: by the reduction if that alone is given, else by itself."""
    width = spec.options.width
    if width is None:
        return options
    claims = _claims(spec, width, options, owner)
    if not claims:
        return {k: v for k, v in options.items() if k not in TIMM_WIDTH}
    (first, value), *others = claims.items()
    for name, other in others:
        if other != value:
            raise _contradiction(spec, (first, options[first]), (name, options[name]))
    kept = {k: v for k, v in options.items() if k not in _width_names(spec)}
    if claims.keys() == {"reduction"} <= option_names(target):
        return {**kept, "reduction": options["reduction"]}
    return {**kept, width.option: value}


def _claims(
    spec: AttentionSpec, width: Width, options: Mapping[str, Any], owner: str
) -> dict[str, int]:
    """The width that each given option means."""
    channels = width.factor * _reduced(width, options, owner)
    claims: dict[str, int] = {}
    for name in ("reduction", "ratio"):
        value = options.get(name)
        if value is not None:
            exact = channels / _positive(spec, name, value)
            exact = exact if name == "reduction" else channels * value
            claims[name] = max(width.minimum, math.floor(exact + 1e-9))  # 49 * (1 / 49) is 0.99
            if claims[name] < 1:
                whole = width.of if channels == options.get(width.of) else "C"
                what = f"{name}={value:g} leaves no hidden channel of {whole}={channels}"
                raise _error(spec, what)
    if options.get("rd_ratio") is not None:
        exact = channels * _positive(spec, "rd_ratio", options["rd_ratio"])
        claims["rd_ratio"] = _make_divisible(exact, _divisor(spec, width, options), width.limit)
    for name in ("rd_channels", width.option):
        if options.get(name) is not None:
            claims[name] = _value(spec, name, options[name], int)
            _positive(spec, name, claims[name])
    return claims


def _reduced(width: Width, options: Mapping[str, Any], owner: str) -> int:
    """The C that a reduction is of."""
    if ":" in width.of:
        return resolve(width.of, owner)(options)
    return options.get(width.of, 0)


def _divisor(spec: AttentionSpec, width: Width, options: Mapping[str, Any]) -> int:
    given = options.get("rd_divisor")
    return width.divisor if given is None else int(_positive(spec, "rd_divisor", given))


def _positive(spec: AttentionSpec, name: str, value: Any) -> float:
    number = _value(spec, name, value, float)
    if number <= 0:
        raise _error(spec, f"{name}={value!r} is not above 0")
    return number


def _make_divisible(exact: float, divisor: int, limit: float) -> int:
    """timm's rule: to a multiple of the divisor, the next one if that loses more than the limit."""
    width = max(divisor, int(exact + divisor / 2) // divisor * divisor)
    return width + divisor if width < limit * exact else width


def _refuse_unknown(spec: AttentionSpec, target: Any, options: Mapping[str, Any]) -> None:
    constructor = _constructor(spec, target)
    if unknown := constructor.unknown(options):
        known = option_names(target) | spec.options.aliases.keys() | set(_width_names(spec))
        raise constructor.no_option(unknown, known)


def _require_needed(spec: AttentionSpec, target: Any, given: Mapping[str, Any]) -> None:
    """Refuse a call that leaves out what the mechanism cannot do without."""
    missing = _constructor(spec, target).missing(given)
    if missing:
        shown = ", ".join(f"{name}=..." for name in missing)
        if set(missing) <= {*spec.options.channels, "feat_size"}:
            sized = spec.insertion.needs_size or "feat_size" in missing
            shown = "channels=64" + (", feat_size=(14, 14)" if sized else "")
        remedy = f'zoo.create_attention("{spec.name}", {shown})'
        raise _error(spec, f"{spec.name} needs {', '.join(missing)}", remedy)


def _checked(spec: AttentionSpec, target: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    return _constructor(spec, target).checked(options)


def _value(spec: AttentionSpec, name: str, value: Any, annotation: Any) -> Any:
    return _constructor(spec).value(name, value, annotation)


def _same(one: Any, other: Any) -> bool:
    """Equality by value; a list equals the tuple of the same items, and 1 is not True."""
    one, other = _as_tuple(one), _as_tuple(other)
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _as_tuple(value: Any) -> Any:
    return tuple(cast(list[Any], value)) if isinstance(value, list) else value


def _contradiction(
    spec: AttentionSpec, one: tuple[str, Any], other: tuple[str, Any]
) -> OptionError:
    return _error(
        spec,
        f"{one[0]}={one[1]!r} and {other[0]}={other[1]!r} contradict each other",
        f"give one of {one[0]}= and {other[0]}=",
    )


def _error(spec: AttentionSpec, what: str, remedy: str = "") -> OptionError:
    return _constructor(spec).error(what, remedy)


def _constructor(spec: AttentionSpec, target: Any = None) -> Constructor:
    return Constructor(target, "attention", spec.name)
