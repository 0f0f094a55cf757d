"""Tables: buffers outside the state dict that are computed, not learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class Tables(nn.Module):
    """A module whose tables are right wherever it is moved.

    No file holds the tables. A model that is built on the meta device and then given memory
    (`to_empty`, or `load_state_dict(assign=True)`) would keep whatever that memory held. A subclass
    registers its tables, and fills them in `_init_buffers`, as timm's layers do.
    """

    def _init_buffers(self) -> None:
        """Compute all tables, on the device and in the dtype that they have."""
        raise NotImplementedError

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        super()._apply(fn, recurse)
        self._init_buffers()
        return self

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        found = (t for key, t in state_dict.items() if key.startswith(prefix))
        device = next((t.device for t in found if isinstance(t, Tensor)), torch.device("meta"))
        lost = [name for name in self._non_persistent_buffers_set if self._is_lost(name)]
        if not lost or device.type == "meta":
            return
        for name in lost:
            self._buffers[name] = torch.empty_like(self.get_buffer(name), device=device)
        self._init_buffers()

    def _is_lost(self, name: str) -> bool:
        buffer = self._buffers[name]
        return buffer is not None and buffer.is_meta
