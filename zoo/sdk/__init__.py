"""What the author of a mechanism imports.

- Types of options, for the annotations of a constructor: `PositiveInt`, `Count`, `OddInt`,
  `PositiveFloat`, `NonNegativeFloat`, `Share` (0 to 1), `DropRate` (0 to below 1), `Size` (one
  number, or height and width), and `typing.Literal` for choices. They are checked before the
  constructor is called. `AtLeast`, `Above` and the like make others, in `Annotated[int,
  AtLeast(2)]`.
- `check_divisible`, and `refuse`, which raises the error for what only the mathematics can tell.
- `bottleneck_width`: the hidden width of a gate, from a reduction.
- `zero_`, `pair_hidden_units_`: starts as the identity.
- `zoo.sdk.attend`: attention over tokens, and masks.
- `zoo.sdk.inputs`: checks of inputs at the call.
- `zoo.sdk.map_size`: maps of one size, and what a `Size` is as (height, width).
- `zoo.sdk.chance`: random draws and divergences.
- `zoo.sdk.precision`: what keeps float16 finite. `zoo.sdk.sampling`: maps read at positions.
  `zoo.sdk.tables`: buffers outside the state dict.
- `zoo.sdk.classifier`: timm's interface of a network that classifies.
- `zoo.sdk.fused`: gates and poolings that can run as one kernel each.
- `zoo.sdk.take_part`: parameters that a forward pass does not use. `zoo.sdk.lstm`: an LSTM that
  also works where its kernel cannot be used.
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
