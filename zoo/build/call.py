"""Calling a constructor that may be anyone's: its complaints become an `OptionError`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import timm.models

from zoo.errors import OptionError, ZooError
from zoo.registry.constructor import Constructor, named_options, option_names

COMPLAINTS = (
    TypeError, ValueError, AssertionError, ArithmeticError, RuntimeError, LookupError,
    AttributeError,
)  # fmt: skip
UNEXPECTED = re.compile(
    r"(?:(?P<inner>\w+)(?:\.__init__)?\(\) )?got an unexpected keyword argument '(?P<option>\w+)'"
)


def call(
    constructor: Constructor,
    options: Mapping[str, Any],
    build: Callable[..., Any] | None = None,
    meant: str = "",
) -> Any:
    """Build with these options.

    Args:
        constructor: of what is built.
        options: its keywords.
        build: what is called, if not the constructor's own target.
        meant: the remedy for an option that the constructor does not have, if it names that
            option.

    Raises:
        OptionError: the constructor raised an error that is not the zoo's own.
    """
    try:
        return (build or constructor.target)(**options)
    except ZooError:
        raise
    except COMPLAINTS as error:
        raise _refusal(constructor, options, error, meant) from error


def no_option(
    constructor: Constructor, names: list[str], meant: str, inner: Any = None
) -> OptionError:
    """The error of options that the constructor does not have, with the call that was meant.

    `inner` is what it hands its further options to.
    """
    accepted = named_options(constructor.target) | (named_options(inner) if inner else set())
    error = constructor.no_option(names, accepted)
    if all(f"{name!r}:" in meant for name in names):
        return constructor.error(error.what, meant)
    return error


def _refusal(
    constructor: Constructor, options: Mapping[str, Any], error: Exception, meant: str
) -> OptionError:
    found = UNEXPECTED.search(str(error)) if isinstance(error, TypeError) else None
    if found and found["option"] in options:
        inner = _named(found["inner"], constructor.target)
        return no_option(constructor, [found["option"]], meant, inner)
    shown = ", ".join(f"{key}={value!r}" for key, value in options.items())
    return OptionError(
        f"{constructor.name} cannot be built: {str(error) or type(error).__name__}",
        where=f"{constructor.kind} {constructor.name}({shown})",
        remedy=constructor.accepts(option_names(constructor.target)),
    )


def _named(name: str | None, target: Any) -> Any:
    """What a constructor hands its further options to, by the name in the complaint."""
    module = sys.modules.get(getattr(target, "__module__", None) or "")
    return getattr(module, name or "", None) or getattr(timm.models, name or "", None)
