"""What goes along with an exported model: its name, its input and its classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from zoo.data.preprocessing import Preprocessing
from zoo.data.vocabulary import ModelClasses
from zoo.errors import ZooError
from zoo.runtime.model_record import record_of
from zoo.version import __version__

FACTS_FILE = "zoo.json"  # among the extra files of .pt2 and TorchScript


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model, as plain data.

    `model` is its name, `exported_by` the version of the zoo. Where the model states them:
    `input_size` (C, H, W), `mean` and `std` of each channel (of values in 0 to 1),
    `interpolation`, `crop_pct`, `crop_mode`, and `classes`, their names in order.
    """

    data: Mapping[str, Any]

    def json(self) -> str:
        """All of it as one JSON object."""
        return json.dumps(self.data)

    def strings(self) -> Mapping[str, str]:
        """Each of it as a string, in JSON unless it is one."""
        items = self.data.items()
        return {key: v if isinstance(v, str) else json.dumps(v) for key, v in items}


def facts_of(model: nn.Module) -> Facts:
    """What the model states of itself."""
    record = record_of(model)
    data: dict[str, Any] = {
        "model": record.name if record is not None else type(model).__name__,
        "exported_by": f"attention-zoo {__version__}",
    }
    return Facts({**data, **_input(model), **_classes(model)})


def _input(model: nn.Module) -> Mapping[str, Any]:
    if not (getattr(model, "pretrained_cfg", None) or {}).get("input_size"):
        return {}
    try:
        return Preprocessing.of(model).asdict()
    except ZooError:  # it takes no image of the usual kind
        return {}


def _classes(model: nn.Module) -> Mapping[str, Any]:
    """The names that timm's settings state, or those of a `transformers` configuration, in order; a
    number for a class that has none.
    """
    config = getattr(model, "pretrained_cfg", None) or {
        "label_names": getattr(getattr(model, "config", None), "id2label", None)
    }
    found = ModelClasses.of(getattr(model, "num_classes", None), config)
    count = found.count or max(found.names, default=0) + 1
    names = [found.names.get(index, f"class {index}") for index in range(count)]
    return {"classes": names} if found.names else {}
