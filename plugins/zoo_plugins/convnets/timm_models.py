"""Models of timm that the zoo gives a name of its own."""

from __future__ import annotations

from functools import partial

import timm

legacy_seresnet50 = partial(timm.create_model, "legacy_seresnet50")
