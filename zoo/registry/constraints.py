"""What the options of a constructor may be, said in their annotations.

`reduction: PositiveFloat = 16` is all that a constructor says of an option. `zoo.registry.values`
reads it and refuses every other value before the constructor is called. Authors of mechanisms
import these names from `zoo.sdk`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias


@dataclass(frozen=True, slots=True)
class AtLeast:
    """The number is not below `bound`."""

    bound: float

    def allows(self, value: float) -> bool:
        return value >= self.bound

    def __str__(self) -> str:
        return f"of at least {self.bound:g}"


@dataclass(frozen=True, slots=True)
class AtMost:
    """The number is not above `bound`."""

    bound: float

    def allows(self, value: float) -> bool:
        return value <= self.bound

    def __str__(self) -> str:
        return f"of at most {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Above:
    """The number is above `bound`."""

    bound: float

    def allows(self, value: float) -> bool:
        return value > self.bound

    def __str__(self) -> str:
        return f"above {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Below:
    """The number is below `bound`."""

    bound: float

    def allows(self, value: float) -> bool:
        return value < self.bound

    def __str__(self) -> str:
        return f"below {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Odd:
    """The whole number is odd."""

    def allows(self, value: float) -> bool:
        return value % 2 == 1

    def __str__(self) -> str:
        return "that is odd"


PositiveInt = Annotated[int, AtLeast(1)]
Count = Annotated[int, AtLeast(0)]
OddInt = Annotated[int, AtLeast(1), Odd()]
PositiveFloat = Annotated[float, Above(0)]
NonNegativeFloat = Annotated[float, AtLeast(0)]
Share = Annotated[float, AtLeast(0), AtMost(1)]
DropRate = Annotated[float, AtLeast(0), Below(1)]
Size: TypeAlias = PositiveInt | tuple[PositiveInt, PositiveInt]
"""Of a map or a kernel: one number for both sides, or (height, width)."""
