"""What the author of a mechanism imports.

- Types of options, said in a constructor's annotations and checked before it is called:
  `PositiveInt`, `Count`, `OddInt`, `PositiveFloat`, `NonNegativeFloat`, `Share`, `DropRate`, `Size`
  (one number or two), and `typing.Literal` for choices. `refuse` raises the error for what only
  the mathematics can tell.
- `bottleneck_width`: the hidden width of a gate, from a reduction.
- Identity starts: `zero_`, `pair_hidden_units_`.
- Tokens and masks: `zoo.sdk.attend`. Inputs: `zoo.sdk.inputs`. Maps of one size, and
  what a `Size` is as (height, width): `zoo.sdk.map_size`. Draws and divergences: `zoo.sdk.chance`.
"""

from zoo.registry.constraints import (
    Above,
    AtLeast,
    AtMost,
    Below,
    Count,
    DropRate,
    NonNegativeFloat,
    Odd,
    OddInt,
    PositiveFloat,
    PositiveInt,
    Share,
    Size,
)
from zoo.sdk.identity import pair_hidden_units_, zero_
from zoo.sdk.options import check_divisible, refuse
from zoo.sdk.width import bottleneck_width

__all__ = [
    "Above",
    "AtLeast",
    "AtMost",
    "Below",
    "Count",
    "DropRate",
    "NonNegativeFloat",
    "Odd",
    "OddInt",
    "PositiveFloat",
    "PositiveInt",
    "Share",
    "Size",
    "bottleneck_width",
    "check_divisible",
    "pair_hidden_units_",
    "refuse",
    "zero_",
]
