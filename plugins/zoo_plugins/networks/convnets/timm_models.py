"""Models of timm that the zoo gives a name of its own."""

from __future__ import annotations

from functools import partial

import timm

legacy_seresnet50 = partial(timm.create_model, "legacy_seresnet50")
lambda_resnet26t = partial(timm.create_model, "lambda_resnet26t")
halonet26t = partial(timm.create_model, "halonet26t")
botnet26t_256 = partial(timm.create_model, "botnet26t_256")
bat_resnext26ts = partial(timm.create_model, "bat_resnext26ts")
