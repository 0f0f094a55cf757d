"""What a constructor's signature says of its options, and the errors of options that it refuses.

Attentions, networks, backbones and training objectives are built from options that a user gives.
`Constructor` checks their names, types, choices and ranges before anything is built.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from zoo.errors import OptionError, ZooError
from zoo.registry.values import converted, hints_of, phrase

FACTORY = frozenset({"device", "dtype"})
VARIADIC = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


@cache
def _parameters(target: Any) -> tuple[inspect.Parameter, ...]:
    try:
        return tuple(inspect.signature(target).parameters.values())
    except ValueError:
        return ()


@cache
def named_options(target: Any) -> frozenset[str]:
    """Names of the options that the signature of a class or function states one by one."""
    return frozenset(p.name for p in _parameters(target) if p.kind not in VARIADIC)


@cache
def option_names(target: Any) -> frozenset[str]:
    """Names of the options of a class or function; empty if it takes any, or does not say."""
    takes_any = any(p.kind is p.VAR_KEYWORD for p in _parameters(target))
    return frozenset() if takes_any else named_options(target)


def default_values(target: Any) -> dict[str, Any]:
    """The options of a class or function that have a default, and that default."""
    parameters = (p for p in _parameters(target) if p.kind not in VARIADIC)
    return {p.name: p.default for p in parameters if p.default is not p.empty}


@dataclass(frozen=True, slots=True)
class Constructor:
    """A class or function, and what its user knows it as.

    Attributes:
        target: the class or function.
        kind, name: for messages; the kind is `attention`, `model`, `backbone` or `objective`.
    """

    target: Any
    kind: str
    name: str

    @property
    def where(self) -> str:
        """What the errors are of."""
        return f"{self.kind} {self.name!r}"

    def unknown(self, options: Iterable[str]) -> list[str]:
        """Names that are no options; none if the signature takes any."""
        accepted = option_names(self.target)
        return sorted(set(options) - accepted) if accepted else []

    def missing(self, options: Collection[str]) -> list[str]:
        """Names of options that have no default and are not given."""
        parameters = [p for p in _parameters(self.target) if p.kind not in VARIADIC]
        return [p.name for p in parameters if p.default is p.empty and p.name not in options]

    def checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Each value as its annotation has it.

        Raises:
            OptionError: the annotation does not allow a value, or a number is not finite.
        """
        hints = hints_of(self.target)
        return {name: self.value(name, v, hints.get(name, Any)) for name, v in options.items()}

    def value(self, name: str, value: Any, annotation: Any) -> Any:
        """One value as an annotation has it; raises as `checked`."""
        if isinstance(value, float) and not math.isfinite(value):
            raise self.error(f"{name}={value!r} is not finite")
        if name in FACTORY:
            return value
        try:
            return converted(value, annotation)
        except ValueError:
            raise self.error(f"{name}={value!r} is not {phrase(annotation)}") from None

    def read(
        self, settings: Mapping[str, Any], function: Callable[[Mapping[str, Any]], Any]
    ) -> dict[str, Any]:
        """What a spec's own function makes of settings, whose values nobody has checked yet.

        Raises:
            OptionError: the function cannot read a value.
        """
        try:
            return dict(function(settings))
        except ZooError:
            raise
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            shown = ", ".join(f"{name}={value!r}" for name, value in settings.items())
            raise self.error(f"{self.name} cannot read {shown}: {error}") from error

    def no_option(self, names: Iterable[str], accepted: Iterable[str]) -> OptionError:
        """The error of names that are no options, with those that are."""
        what = f"{self.name} has no option {', '.join(map(repr, names))}"
        return self.error(what, self.accepts(accepted))

    def accepts(self, names: Iterable[str]) -> str:
        """The remedy that lists these options; empty if there are none to list."""
        known = sorted(set(names) - FACTORY)
        return f"it accepts {', '.join(known)}" if known else ""

    def error(self, what: str, remedy: str = "") -> OptionError:
        """An error of this constructor's options."""
        return OptionError(what, where=self.where, remedy=remedy)
