"""Random numbers that follow from what they are for, not from what was drawn before."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(*key: int) -> Iterator[None]:
    """Let Python's, numpy's and torch's global generators on the CPU follow from `key`.

    Afterwards they are as they were before. timm's augmentations draw from all three.
    """
    generator = torch.default_generator
    before = random.getstate(), np.random.get_state(), generator.get_state()
    first, second, third = (int(n) for n in np.random.SeedSequence(key).generate_state(3))
    random.seed(first)
    np.random.seed(second)
    generator.manual_seed(third)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        generator.set_state(before[2])
