"""Settings of the authors' `PoseNet`, as keywords of `StackedHourglass`. No torch."""

from __future__ import annotations

from typing import Any


def pose_net(
    nstack: int | None = None,
    inp_dim: int | None = None,
    oup_dim: int | None = None,
    order: int | None = None,
) -> dict[str, Any]:
    """`nstack` hourglasses of `inp_dim` channels and depth `order`, each giving `oup_dim` maps."""
    found = {"num_stacks": nstack, "dim": inp_dim, "num_classes": oup_dim, "depth": order}
    return {name: value for name, value in found.items() if value is not None}
