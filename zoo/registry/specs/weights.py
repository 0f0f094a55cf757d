"""What a plugin states of weights: a frozen record, without torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from zoo.errors import SpecError
from zoo.registry.specs.fields import check_choices

Form: TypeAlias = Literal["plain", "exact", "residual"]
WeightsKind: TypeAlias = Literal["bundled", "published", "warm_start", "unpublished"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSpec:
    """Weights of a model: where they are, what they must hash to, and what they reach.

    Attributes:
        model, tag: the weights are asked for as `<model>.<tag>`, for example `se_resnet50.a1_in1k`.
        kind: `bundled` (the file is in the package), `published` (on the Hub, for this very
            architecture), `warm_start` (the weights of the plain backbone; the attention is
            untrained), or `unpublished` (there is a recipe, but no file).
        repository, revision, filename: where the file is on the Hub. `revision` is the pinned
            40-hex commit, if it is known.
        path: where a bundled file is, as `"package:file"`.
        sha256: the digest of the file, if it is known. Otherwise the digest that the Hub states for
            the commit is used.
        num_classes, input: what the file was trained for, in timm's names of the settings.
        options: options of the model that differ from its defaults. `create_model` gives it these,
            unless the call says otherwise.
        insertion: the form in which the attention was put in when it was trained.
        default: whether this is the tag that `pretrained=True` takes.
        dataset: the name of the data set that the weights are measured on. `zoo eval` takes it
            unless told otherwise.
        metrics, data, license, recipe, notes: evidence for the reader.
    """

    model: str
    tag: str
    kind: WeightsKind
    repository: str = ""
    revision: str = ""
    filename: str = "model.safetensors"
    path: str = ""
    sha256: str = ""
    num_classes: int = 1000
    input: Mapping[str, Any] = field(default_factory=dict[str, Any])
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    insertion: Form = "plain"
    default: bool = False
    dataset: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict[str, Any])
    data: str = ""
    license: str = ""
    recipe: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        where = f"WeightsSpec({self.model!r}, {self.tag!r})"
        check_choices(where, self, kind=WeightsKind, insertion=Form)
        if self.sha256 and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise SpecError(f"sha256={self.sha256!r} is not 64 hex digits", where=where)
        if self.revision and not re.fullmatch(r"[0-9a-f]{40}", self.revision):
            raise SpecError(f"revision={self.revision!r} is not a 40-hex commit", where=where)
        if self.kind in ("published", "warm_start") and not self.repository:
            raise SpecError("published weights need a repository", where=where)
        if self.kind == "bundled" and not (self.path and self.sha256):
            raise SpecError("bundled weights need a path and a sha256", where=where)
