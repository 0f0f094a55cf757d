"""A training recipe: what trains a model, as frozen data."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any

from zoo.recipes.tables import Augment, Data, Distill, ImageSettings, Optimizer, Schedule

# Keys that the first recipes did not have. Where they are as nobody stated them, a digest leaves
# them out, so that a run that began before there were these goes on.
NEWER = {
    "": (
        "amp", "channels_last", "pretrained", "backbone_weights", "train", "keep", "loss",
        "distill", "accumulate", "checkpointing", "compile", "schedule", "images",
    ),
    "data": ("label_noise", "splits", "holdout_share"),
    "optimizer": ("drops", "fused", "layer_decay", "attention_scale", "classifier_scale"),
    "augment": ("crop", "flip"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What trains a model.

    Attributes:
        model, model_options: as for `zoo.create_model`.
        weights: a tag, `<model>.<tag>` of any model, or a file to start from. If it is empty,
            training starts from scratch.
        pretrained, backbone_weights: start from weights as by `zoo.create_model` instead.
        epochs, batch_size, seed: of the run. The last batch of an epoch is left out if it is
            incomplete.
        ema_decay: the decay of the averaged weights, which are what is measured and saved. With 0
            there is no averaging.
        amp: train in bfloat16 where autocast allows it. Measuring is in float32.
        accumulate: the number of equal parts in which a batch is computed, one after the other,
            which takes less memory. Their gradients are added up before the one step.
        checkpointing: compute activations a second time in the backward pass rather than keep them.
        compile: compile what the objective calls of the model with `torch.compile`.
        channels_last: the memory format of model and images.
        validate_every: the number of epochs between measurements on the held-out images.
        save_half: save the weights in float16, which halves the file. Tensors with numbers beyond
            65,504 stay as they are. All are loaded as float32 again.
        keep: which weights the run's file has: the `"last"`, or those of the epoch that was
            `"best"` on the held-out images.
        train: which parameters are trained: `"all"`, `"attention"` (and the classifier, if it is
            new), or `"head"`, the classifier alone. Norms of what is not trained keep their
            statistics.
        loss: `"bce"` for binary cross-entropy. Empty is the model's own objective, or cross-entropy
            if it has none.
        objective: options of the model's objective.
        schedule: one of timm's schedules, in place of the one-cycle schedule.
        images: read images of any size, and augment them as timm does.
        distill: learn from the answers of another model too.
        notes: evidence for the reader. Nothing depends on it.
    """

    model: str
    epochs: int
    batch_size: int
    seed: int = 0
    ema_decay: float = 0.0
    amp: bool = False
    channels_last: bool = False
    validate_every: int = 1
    save_half: bool = False
    weights: str = ""
    pretrained: bool = False
    backbone_weights: str = ""
    accumulate: int = 1
    checkpointing: bool = False
    compile: bool = False
    keep: str = "last"
    train: str = "all"
    loss: str = ""
    notes: str = ""
    data: Data
    optimizer: Optimizer
    schedule: Schedule | None = None
    images: ImageSettings | None = None
    distill: Distill | None = None
    augment: Augment = field(default_factory=Augment)
    model_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    objective: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def digest(self) -> str:
        """The SHA-256 of all that decides the result. A checkpoint must agree with it."""
        content = dataclasses.asdict(self)
        del content["notes"], content["save_half"]
        for table, keys in NEWER.items():
            part = content[table] if table else content
            unused = defaults(type(getattr(self, table)) if table else Recipe)
            for key in [key for key in keys if part[key] == unused[key]]:
                del part[key]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def defaults(cls: Any) -> dict[str, Any]:
    """What each field of a table is where nobody states it."""
    fields = dataclasses.fields(cls)
    made = {f.name: f.default_factory() for f in fields if f.default_factory is not MISSING}
    return {**{f.name: f.default for f in fields}, **made}
