"""What the options of a mechanism are called elsewhere, as data.

A constructor names each option once. Authors, papers and timm use other names for the same thing;
these records say which, and `zoo.registry.options` reads them wherever options come in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.registry.specs.fields import check_mappings, check_strings


@dataclass(frozen=True, slots=True, kw_only=True)
class Width:
    """How the width of a bottleneck may be given: by itself, by a reduction, or by timm's rule.

    Attributes:
        option: what the constructor calls the width itself. `rd_channels` means the same.
        minimum: the least width that `reduction` and `ratio` (its reciprocal) give.
        divisor: timm's `rd_divisor`, unless it is given: `rd_ratio` gives C * rd_ratio, rounded to
            a multiple of it.
        limit: a rounded width below this share of the exact one goes up to the next multiple
            (`round_limit` of `timm.layers.make_divisible`).
        of: the option that holds C, or the target of a function `(options) -> C`, which gets the
            options that were given, under the constructor's names.
        factor: the reduction is of `factor` times C.
    """

    option: str = "reduced_channels"
    minimum: int = 0
    divisor: int = 8
    limit: float = 0.0
    of: str = "channels"
    factor: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionNames:
    """The names under which the options of a constructor are known elsewhere.

    Attributes:
        channels: the constructor's names for the channels of its input. `channels=` fills them all.
        defaults: values of the constructor's options that the zoo sets.
        aliases: another name of an option to the constructor's own.
        fixed: a name that authors' code has and the constructor has not, and the one value that the
            mechanism is written for. That value is accepted, and any other refused.
        ignored: names that timm's builders hand to every attention and that say nothing here.
        width: how the width of the bottleneck may be given.
        read: the target of a function `(options) -> options`, for settings of authors' code that
            no renaming can express. It gets what was given and the channels, after the aliases
            were read and before any value is checked.
    """

    channels: tuple[str, ...] = ("channels",)
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    fixed: Mapping[str, Any] = field(default_factory=dict[str, Any])
    ignored: tuple[str, ...] = ()
    width: Width | None = None
    read: str = ""

    def __post_init__(self) -> None:
        check_strings("OptionNames", channels=self.channels, ignored=self.ignored)
        check_mappings(
            "OptionNames", defaults=self.defaults, aliases=self.aliases, fixed=self.fixed
        )
