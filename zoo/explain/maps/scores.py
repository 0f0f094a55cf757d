"""What a model's output says of an image: a score for each class, which a map can be made of.

classes     logits (1, K)             the score of c is its logit
map         logits (1, K, h, w)       the sum of c's logits over the positions that are given c
                                      (all positions, if none is)
queries     logits (1, N, K)          the largest logit of c among N queries
boxes       a detector's boxes        the sum of the scores of the boxes of c
sequence    (1, L, K)                 the sum of what is read at L places
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from zoo.data.sequences import label_classes, sequence_of

Kind: TypeAlias = Literal["classes", "map", "queries", "boxes", "sequence"]
_LOGITS = ("logits", "out", "pred_logits")  # transformers, torchvision, DETR


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Of one image.

    Attributes:
        kind: see above.
        logits: of the kind's shape; of boxes, the scores (N,).
        classes: of each box, (N,).
        text: what is read, of a sequence.
        count: the number of classes; None where it is not known.
    """

    kind: Kind
    logits: Tensor
    classes: Tensor | None = None
    text: str = ""
    count: int | None = None

    def of(self, index: int) -> Tensor:
        """The score of a class, a scalar."""
        return _SCORE[self.kind](self, index)

    def shares(self) -> Tensor:
        """(K,): the probability of each class; of a map, its share of the positions."""
        return _SHARES[self.kind](self).detach().float().cpu()


def read(model: nn.Module, output: Any) -> Scores | None:
    """The scores in an output; None where it has no classes."""
    if _are_boxes(output):
        boxes = output[0]
        return Scores(kind="boxes", logits=boxes["scores"], classes=boxes["labels"])
    logits = _tensor(output)
    if logits is None or not logits.is_floating_point() or not logits.shape[0] == 1:
        return None
    sequence = sequence_of(model)
    if sequence is not None:
        text = sequence.text(logits.argmax(-1)[0].tolist())
        return Scores(kind="sequence", logits=logits, text=text)
    if label_classes(model) == 0:  # what comes out are features
        return None
    kinds: dict[int, Kind] = {2: "classes", 4: "map", 3: "queries"}
    if logits.ndim not in kinds or 0 in logits.shape:
        return None
    return _scores(kinds[logits.ndim], logits, output)


def _scores(kind: Kind, logits: Tensor, output: Any) -> Scores:
    if kind == "queries" and hasattr(output, "pred_boxes"):  # the last class is "no object"
        logits = logits[..., :-1]
    count = logits.shape[1] if kind != "queries" else logits.shape[2]
    return Scores(kind=kind, logits=logits, count=count)


def _tensor(output: Any) -> Tensor | None:
    if isinstance(output, Tensor):
        return output
    for key in _LOGITS:
        held = output.get(key) if isinstance(output, Mapping) else getattr(output, key, None)
        if isinstance(held, Tensor):
            return held
    return _tensor(output[0]) if isinstance(output, tuple | list) and output else None


def _are_boxes(output: Any) -> bool:
    first = output[0] if isinstance(output, list) and len(output) == 1 else None
    return isinstance(first, Mapping) and {"scores", "labels"} <= first.keys()


def _chosen(logits: Tensor, index: int) -> Tensor:
    """bool (h, w): the positions that are given the class."""
    found = logits[0, 0] > 0 if logits.shape[1] == 1 else logits[0].argmax(0) == index
    return found if bool(found.any()) else torch.ones_like(found)


def _of_map(scores: Scores, index: int) -> Tensor:
    return scores.logits[0, index][_chosen(scores.logits, index)].sum()


def _of_boxes(scores: Scores, index: int) -> Tensor:
    assert scores.classes is not None
    return scores.logits[scores.classes == index].sum()


def _probabilities(scores: Scores) -> Tensor:
    """Of a single logit, the probability that it is."""
    logits = scores.logits[0]
    return logits.sigmoid() if len(logits) == 1 else logits.softmax(0)


def _covered(scores: Scores) -> Tensor:
    logits = scores.logits[0]
    if len(logits) == 1:
        return (logits > 0).float().mean((1, 2))
    return torch.bincount(logits.argmax(0).flatten(), minlength=len(logits)) / logits[0].numel()


def _of_best_query(scores: Scores) -> Tensor:
    return scores.logits[0].softmax(-1).amax(0)


def _of_best_box(scores: Scores) -> Tensor:
    assert scores.classes is not None
    found = scores.logits.new_zeros(int(scores.classes.max()) + 1 if len(scores.classes) else 1)
    return found.scatter_reduce(0, scores.classes, scores.logits, "amax")


_SCORE = {
    "classes": lambda scores, index: scores.logits[0, index],
    "map": _of_map,
    "queries": lambda scores, index: scores.logits[0, :, index].amax(),
    "boxes": _of_boxes,
    "sequence": lambda scores, _index: scores.logits[0].amax(-1).sum(),
}
_SHARES = {
    "classes": _probabilities, "map": _covered, "queries": _of_best_query, "boxes": _of_best_box,
    "sequence": lambda scores: scores.logits[0].amax(-1).exp().prod()[None],
}  # fmt: skip
