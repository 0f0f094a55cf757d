"""The data sets of house numbers by name, each called with (root, split)."""

from __future__ import annotations

from functools import partial

from zoo_plugins.datasets.house_numbers.numbers import PAPER, SEED, WHOLE
from zoo_plugins.datasets.house_numbers.svhn import CroppedDigits, FullNumbers
from zoo_plugins.datasets.house_numbers.synthetic import SyntheticNumbers

svhn_numbers32 = partial(FullNumbers, "svhn_numbers32", SEED)
svhn_numbers54 = partial(FullNumbers, "svhn_numbers54", PAPER)
svhn_numbers64 = partial(FullNumbers, "svhn_numbers64", WHOLE)
svhn_cropped = CroppedDigits
synthetic_numbers32 = partial(SyntheticNumbers, "synthetic_numbers32", SEED)
synthetic_numbers54 = partial(SyntheticNumbers, "synthetic_numbers54", PAPER)
