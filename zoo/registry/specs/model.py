"""What a plugin states of backbones, named models and data sets: frozen records, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.errors import SpecError
from zoo.registry.specs.attention import Kind
from zoo.registry.specs.fields import (
    check_mappings,
    check_names,
    check_records,
    check_target,
    says_where_fields_are,
)
from zoo.registry.specs.provenance import Paper, Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneSpec:
    """A backbone that timm does not have. It is built by `target(num_classes=, in_chans=,
    **options)`.

    The model follows timm's interface (`feature_info`, `forward_features`, `reset_classifier`).

    Attributes:
        name, aliases: what `create_model` accepts.
        target: the class or function that builds it, `"package.module:attribute"`.
        defaults: options of the target that the zoo sets.
        paper: the publication.
    """

    name: str
    target: str
    aliases: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    paper: Paper | None = None

    def __post_init__(self) -> None:
        check_names("BackboneSpec", self.name, self.aliases)
        where = f"BackboneSpec({self.name!r})"
        check_target(where, self.name, self.target)
        check_mappings(where, defaults=self.defaults)


@says_where_fields_are(provenance=Provenance)
@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A whole model with a name of its own.

    It is either built by `target(num_classes=, in_chans=, **options)`, or, with an empty `target`,
    it is the composition of `attention` and `backbone`. Options are checked against the signature
    and the annotations of the target before it is called.

    Attributes:
        defaults: options of the target, or of the backbone in a composition.
        attention, backbone, attention_options, sites: the composition.
        config: the target of a function `config -> keywords of create_model`, which reads the
            settings of authors' code (`depth`, `k_size`, ...); those keys are then options of the
            model.
        input: the preprocessing settings in timm's names (`input_size`, `mean`, `std`, ...).
        objective: the target of the training objective; an empty one is cross-entropy.
        provenance: where the model comes from.
    """

    name: str
    target: str = ""
    aliases: tuple[str, ...] = ()
    family: str = "other"
    kind: Kind = "soft"
    attention: str = ""
    backbone: str = ""
    attention_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    sites: str | tuple[str, ...] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    config: str = ""
    input: Mapping[str, Any] = field(default_factory=dict[str, Any])
    objective: str = ""
    provenance: Provenance = Provenance()

    def __post_init__(self) -> None:
        check_names("ModelSpec", self.name, self.aliases)
        where = f"ModelSpec({self.name!r})"
        check_mappings(
            where, defaults=self.defaults, input=self.input,
            attention_options=self.attention_options,
        )  # fmt: skip
        check_records(where, self, provenance=Provenance)
        if self.target:
            check_target(where, self.name, self.target)
        elif not (self.attention and self.backbone):
            raise SpecError("a model needs a target, or an attention and a backbone", where=where)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """A data set, for `zoo eval --data NAME` and for recipes. It is opened by `target(root,
    split)`.

    The result is a map-style data set of items (image, label). The image is a PIL image or a uint8
    array. The label is a class index, or a sequence of them, int64 (L,). `root` is the folder that
    the user gave, or None.

    Attributes:
        name, aliases: what the user writes.
        target: the class or function that opens it, `"package.module:attribute"`.
        num_classes: K, or None where it is not known before the data is opened.
        license: of the data.
    """

    name: str
    target: str
    aliases: tuple[str, ...] = ()
    num_classes: int | None = None
    license: str = ""

    def __post_init__(self) -> None:
        check_names("DatasetSpec", self.name, self.aliases)
        check_target(f"DatasetSpec({self.name!r})", self.name, self.target)
