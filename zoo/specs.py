"""What a plugin states: frozen data, no torch.

A spec names a target, `"package.module:attribute"`, that is imported when it is first built. An
`AttentionSpec` needs only `name` and `target`; all else has defaults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal, TypeAlias, get_args

from zoo.errors import SpecError

Kind: TypeAlias = Literal["soft", "hard"]
Role: TypeAlias = Literal["refine", "replace_conv", "replace_mixer", "none"]
Placement: TypeAlias = Literal["block", "stage", "between_stages"]
DefaultSites: TypeAlias = Literal["all", "last_stage"]
Identity: TypeAlias = Literal["exact", "residual"]
Insertion: TypeAlias = Literal["plain", "exact", "residual"]
WeightsKind: TypeAlias = Literal["bundled", "published", "warm_start", "unpublished"]
KeyMap: TypeAlias = str | tuple[tuple[str, str], ...]
Contract: TypeAlias = Literal[
    "map", "map_channels", "map_pair", "tokens", "set", "context",
    "step", "rollout", "head", "regulariser", "gradient",
]  # fmt: skip

CONTRACTS: dict[str, str] = {
    "map": "(B, C, H, W) -> (B, C, H, W)",
    "map_channels": "(B, C, H, W) -> (B, C', H', W')",
    "map_pair": "(map, condition) -> map",
    "tokens": "(B, N, C) -> (B, N, C)",
    "set": "(B, N, C) -> (B, K, D) vectors",
    "context": "(query, memory, mask) -> context",
    "step": "(input, state) -> (output, state), one step of a recurrence",
    "rollout": "image and first location -> a sequence of glimpses and a prediction",
    "head": "map -> logits",
    "regulariser": "acts in training only, the identity in eval",
    "gradient": "a transform of gradients",
}

MAPS = ("map", "map_channels", "regulariser")  # contracts of what takes one map

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z")


def _check_names(spec: str, name: object, aliases: object = ()) -> None:
    _check_tuple(spec, name, aliases=aliases)
    for each in (name, *(aliases if isinstance(aliases, tuple) else ())):  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(each, str) or not _NAME.match(each):
            raise SpecError(
                f"{spec} name {each!r} is not a lower-case identifier",
                remedy='use letters, digits and underscores, as in name="my_attention"',
            )


def _check_target(spec: str, name: str, target: object) -> None:
    if not isinstance(target, str) or not _TARGET.match(target):
        raise SpecError(
            f"target {target!r} is not of the form 'package.module:attribute'",
            where=f"{spec}({name!r})",
            remedy=f'target="my_package.{name}:MyModule"',
        )


def _check_choice(spec: str, name: str, key: str, value: object, choices: object) -> None:
    allowed = get_args(choices)
    if value not in allowed:
        raise SpecError(
            f"{key}={value!r} is none of {', '.join(map(repr, allowed))}",
            where=f"{spec}({name!r})",
        )


def _check_tuple(spec: str, name: object, **fields: object) -> None:
    for key, value in fields.items():
        if not isinstance(value, tuple) or not all(isinstance(v, str) for v in value):  # pyright: ignore[reportUnknownVariableType]
            raise SpecError(f"{key}={value!r} is not a tuple of strings", where=f"{spec}({name!r})")


def _check_mapping(spec: str, name: object, **fields: object) -> None:
    for key, value in fields.items():
        if not isinstance(value, Mapping) or not all(isinstance(k, str) for k in value):  # pyright: ignore[reportUnknownVariableType]
            raise SpecError(f"{key}={value!r} is not a mapping", where=f"{spec}({name!r})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """Where a mechanism was published: `arxiv` is the bare id (`"1709.01507"`)."""

    title: str
    authors: str = ""
    venue: str = ""
    year: int = 0
    arxiv: str = ""
    doi: str = ""

    @property
    def url(self) -> str:
        """The arXiv page, else the DOI, else an empty string."""
        if self.arxiv:
            return f"https://arxiv.org/abs/{self.arxiv}"
        return f"https://doi.org/{self.doi}" if self.doi else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionSpec:
    """A mechanism: what it is called, where its code is, and how it goes into a backbone.

    Attributes:
        name, aliases: what `create_attention` and the prefix of a model's name accept.
        target: `"package.module:Class"`, built as `Class(channels, **options)`; a mechanism that
            is not map-to-map takes the options its docstring states.
        family: folder of the survey's taxonomy (arXiv 2204.07756, figure 2).
        kind: soft, or hard (sampled, trained by reinforcement).
        contract: what goes in and comes out, a key of `CONTRACTS`.
        role: what it does in a backbone: `refine` a map, `replace_conv` (a block's spatial
            convolution), `replace_mixer` (a token mixer), or `none`.
        placement: where it goes unless `sites=` says otherwise: in each `block`, after each
            `stage`, or `between_stages` (after each but the last).
        default_sites: of the places that `role` and `placement` give, where it goes unless `sites=`
            says otherwise: `all`, or those in the `last_stage` that has any.
        quadratic: cost grows with the square of the number of positions; large maps are left out.
        needs_size: the constructor takes `feat_size=(H, W)`, and maps of other sizes are refused,
            unless the module has a true attribute `any_size`.
        keeps_norm: with `replace_conv`, the norm and activation that follow the convolution stay;
            otherwise they go with it, since the mechanism has its own.
        identity: `exact` if the module can start as `c * x` by its method `init_identity()`,
            which returns c, or None where c is `identity_gate`; a token mixer, if it computes what
            timm's attention does after `take_over(attention)`. Otherwise `residual`:
            x + alpha (f(x) - x), alpha = 0, or alpha f(x) beside what stands there.
        defaults: options of the constructor that the zoo sets.
        channel_arguments: the constructor's names for its channels; `channels=` fills them all.
        variants: the closed list that `variant=` accepts.
        dead_parameters: regular expressions of parameters that can have no gradient.
        paper, license, reference: the paper; the reference code's licence; who wrote that code
            (`authors`, `transcribed`, `independent`, `equations`).
        verified: `cases` (recorded outputs and gradients are reproduced) or `equations`.
        key_map: the authors' state dict to ours: pairs of (regular expression, replacement), or
            the target of a function `(state, module) -> state`.
        reference_call: target of a function `(module, *inputs) -> outputs`, where calling the
            module itself does not give all outputs that a reference case records.
        example: target of a function `(channels, batch, generator) -> (options, inputs)`, where
            the contract alone does not say what the module takes: the kit builds and runs it so.
        masked: `forward` takes `mask`, bool (B, N), True where a token is present.
        notes: departures of the authors' code from their paper, in a sentence or two.
    """

    name: str
    target: str
    aliases: tuple[str, ...] = ()
    family: str = "other"
    kind: Kind = "soft"
    contract: Contract = "map"
    role: Role = "refine"
    placement: Placement = "block"
    default_sites: DefaultSites = "all"
    quadratic: bool = False
    needs_size: bool = False
    keeps_norm: bool = False
    identity: Identity = "residual"
    identity_gate: float = 1.0
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    channel_arguments: tuple[str, ...] = ("channels",)
    variants: tuple[str, ...] = ()
    dead_parameters: tuple[str, ...] = ()
    paper: Paper | None = None
    license: str = ""
    reference: str = ""
    verified: str = ""
    key_map: KeyMap = ()
    reference_call: str = ""
    example: str = ""
    masked: bool = False
    notes: str = ""

    def __post_init__(self) -> None:
        cls = "AttentionSpec"
        _check_names(cls, self.name, self.aliases)
        _check_target(cls, self.name, self.target)
        _check_mapping(cls, self.name, defaults=self.defaults)
        _check_tuple(
            cls, self.name, variants=self.variants, dead_parameters=self.dead_parameters,
            channel_arguments=self.channel_arguments,
        )  # fmt: skip
        if not (isinstance(self.identity_gate, int | float) and 0 < abs(self.identity_gate) < inf):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SpecError(
                f"identity_gate={self.identity_gate!r} is no finite number other than 0",
                where=f"{cls}({self.name!r})",
            )
        for key, choices in (
            ("kind", Kind), ("contract", Contract), ("role", Role),
            ("placement", Placement), ("identity", Identity), ("default_sites", DefaultSites),
        ):  # fmt: skip
            _check_choice(cls, self.name, key, getattr(self, key), choices)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneSpec:
    """A backbone that timm does not have: `target(num_classes=, in_chans=, **options)` -> model.

    The model follows timm's interface (`feature_info`, `forward_features`, `reset_classifier`).
    """

    name: str
    target: str
    aliases: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    paper: Paper | None = None

    def __post_init__(self) -> None:
        _check_names("BackboneSpec", self.name, self.aliases)
        _check_target("BackboneSpec", self.name, self.target)
        _check_mapping("BackboneSpec", self.name, defaults=self.defaults)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A whole model with a name of its own.

    Either built by `target(num_classes=, in_chans=, **options)`, or, with an empty `target`, the
    composition of `attention` and `backbone`.

    Attributes:
        defaults: options of the target, or of the backbone in a composition.
        attention, backbone, attention_options, sites: the composition.
        config: target of a function `config -> create_model keywords`, which reads the settings of
            authors' code (`depth`, `k_size`, ...); those keys are then options of the model.
        input: the preprocessing settings in timm's names (`input_size`, `mean`, `std`, ...).
        objective: target of the training objective; empty is cross-entropy.
        key_map, reference_call, paper, license, reference, verified, notes: as in AttentionSpec.
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
    paper: Paper | None = None
    license: str = ""
    reference: str = ""
    verified: str = ""
    key_map: KeyMap = ()
    reference_call: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        _check_names("ModelSpec", self.name, self.aliases)
        _check_mapping(
            "ModelSpec", self.name, defaults=self.defaults, input=self.input,
            attention_options=self.attention_options,
        )  # fmt: skip
        if self.target:
            _check_target("ModelSpec", self.name, self.target)
        elif not (self.attention and self.backbone):
            raise SpecError(
                "a model needs a target, or an attention and a backbone",
                where=f"ModelSpec({self.name!r})",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """A data set for `zoo eval --data NAME`: `target(root, split)` -> a map-style data set.

    Items are (PIL image or uint8 array, class index, or a sequence of these: int64 (L,)). `root` is
    the folder given by the user.
    """

    name: str
    target: str
    aliases: tuple[str, ...] = ()
    num_classes: int | None = None
    license: str = ""

    def __post_init__(self) -> None:
        _check_names("DatasetSpec", self.name, self.aliases)
        _check_target("DatasetSpec", self.name, self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSpec:
    """Weights of a model: where they are, what they must hash to, and what they reach.

    Attributes:
        model, tag: `cbam_resnet50` and `a1_in1k` are asked for as `cbam_resnet50.a1_in1k`.
        kind: `bundled` in the package, `published` on the Hub for this very architecture,
            `warm_start` (the plain backbone's, the attention untrained), or `unpublished`.
        repository, revision, filename: on the Hub; `revision` is the pinned 40-hex commit if known.
        path: of a bundled file, as `"package:file"`.
        sha256: of the file, if known; else the Hub's digest of that commit is used.
        num_classes, input: what the file was trained for (timm's names of the settings).
        options: of the model, where they differ from its defaults: `create_model` gives it these,
            unless it is called with others.
        insertion: the form that the attention had in training.
        default: the tag that `pretrained=True` takes.
        dataset: name of the data set that it is measured on; `zoo eval` takes it unless told.
        metrics, data, license, recipe, notes: evidence.
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
    insertion: Insertion = "plain"
    default: bool = False
    dataset: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict[str, Any])
    data: str = ""
    license: str = ""
    recipe: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        where = f"WeightsSpec({self.model!r}, {self.tag!r})"
        _check_choice("WeightsSpec", self.model, "kind", self.kind, WeightsKind)
        _check_choice("WeightsSpec", self.model, "insertion", self.insertion, Insertion)
        if self.sha256 and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise SpecError(f"sha256={self.sha256!r} is not 64 hex digits", where=where)
        if self.revision and not re.fullmatch(r"[0-9a-f]{40}", self.revision):
            raise SpecError(f"revision={self.revision!r} is not a 40-hex commit", where=where)
        if self.kind in ("published", "warm_start") and not self.repository:
            raise SpecError("published weights need a repository", where=where)
        if self.kind == "bundled" and not (self.path and self.sha256):
            raise SpecError("bundled weights need a path and a sha256", where=where)


Spec: TypeAlias = AttentionSpec | BackboneSpec | ModelSpec | DatasetSpec | WeightsSpec
