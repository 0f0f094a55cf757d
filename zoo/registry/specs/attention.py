"""What a plugin states of an attention mechanism: small frozen records, without torch.

`AttentionSpec` says what the mechanism is. How it goes into a backbone (`Insertion`), what its
options are called elsewhere (`OptionNames`), where it comes from (`Provenance`) and how the
conformance kit tries it (`Trial`) are records of their own. A spec needs only `name` and `target`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from zoo.errors import SpecError
from zoo.registry.specs.fields import (
    check_choices,
    check_names,
    check_records,
    check_strings,
    check_target,
    says_where_fields_are,
)
from zoo.registry.specs.options import OptionNames
from zoo.registry.specs.provenance import Provenance

Kind: TypeAlias = Literal["soft", "hard"]
Role: TypeAlias = Literal["refine", "replace_conv", "replace_mixer", "gate_skip", "none"]
Placement: TypeAlias = Literal["block", "stage", "between_stages"]
DefaultSites: TypeAlias = Literal["all", "last_stage"]
IdentityStart: TypeAlias = Literal["exact", "residual"]
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

ROLES: dict[str, str] = {
    "refine": "refines a map",
    "replace_conv": "replaces a block's convolution",
    "replace_mixer": "replaces a token mixer",
    "gate_skip": "gates a skip connection",
    "none": "on its own",
}

MAPS = ("map", "map_channels", "regulariser")  # contracts of what takes one map


@dataclass(frozen=True, slots=True, kw_only=True)
class Insertion:
    """How a mechanism goes into a backbone.

    Attributes:
        role: `refine` a map, `replace_conv` (a block's spatial convolution), `replace_mixer` (a
            vision transformer's softmax attention), `gate_skip` (the skip connection of a U-Net,
            by a second map, whose width the constructor takes as `gating_channels`), or `none`.
        placement: where it goes unless `sites=` says otherwise: in each `block`, after each
            `stage`, or `between_stages` (after each stage but the last).
        default_sites: of the places that `role` and `placement` give, `all`, or those in the
            `last_stage` that has any.
        identity: `exact` if the module has a method `init_identity()` that makes it start as c x
            and returns the constant c; of a token mixer, if it computes what timm's attention does
            after `take_over(attention)`. `residual` otherwise: the zoo uses
            x + alpha (f(x) - x) with alpha = 0, or alpha f(x) beside what stands there.
        default_form: the form in which it goes into a pretrained backbone unless the user names
            one; by default that of `identity`. `residual` if its exact start is so steep that the
            first steps of training lose what the backbone knew (docs/warm-starts.md measures it).
        quadratic: the cost grows with the square of the number of positions, so that large maps
            are left out.
        needs_size: the constructor takes `feat_size=(H, W)`.
        folds_tokens: an attention on maps that `refine`s these goes into vision transformers too,
            as a token mixer: the patches are folded to a map, on which it takes the place of the
            softmax attention, or stands beside it.
        keeps_norm: with `replace_conv`, the norm and activation that follow the convolution stay.
            Otherwise they go with it, since the mechanism has its own.
    """

    role: Role = "refine"
    placement: Placement = "block"
    default_sites: DefaultSites = "all"
    identity: IdentityStart = "residual"
    default_form: IdentityStart | None = None
    quadratic: bool = False
    needs_size: bool = False
    folds_tokens: bool = False
    keeps_norm: bool = False

    def __post_init__(self) -> None:
        check_choices(
            "Insertion", self, role=Role, placement=Placement, default_sites=DefaultSites,
            identity=IdentityStart,
        )  # fmt: skip
        if self.default_form is not None:
            check_choices("Insertion", self, default_form=IdentityStart)
        if self.default_form == "exact" and self.identity != "exact":
            raise SpecError("default_form='exact' needs identity='exact'", where="Insertion")

    @property
    def warm_form(self) -> IdentityStart:
        """The form in which it goes into a pretrained backbone unless the user names one."""
        if self.role == "replace_conv":
            return "residual"
        return self.default_form or self.identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How the conformance kit tries a mechanism, where its contract alone does not say.

    Attributes:
        example: the target of a function `(channels, batch, generator) -> (options, inputs)`; the
            kit builds and runs the module so.
        dead_parameters: regular expressions of parameters that can have no gradient, such as a
            bias in front of a softmax.
    """

    example: str = ""
    dead_parameters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_strings("Trial", dead_parameters=self.dead_parameters)


@says_where_fields_are(insertion=Insertion, options=OptionNames, provenance=Provenance, trial=Trial)
@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionSpec:
    """An attention mechanism: what it is called, where its code is, what it takes and returns.

    Attributes:
        name, aliases: what `create_attention` and the prefix of a model's name accept.
        shared_names: names that other papers give to their mechanisms too. Asking for one is an
            error that says what has it, unless nothing else here has.
        target: `"package.module:Class"`, built as `Class(channels, **options)`. A mechanism that
            does not take a map takes the options that its docstring states.
        family: the folder of the survey's taxonomy (arXiv 2204.07756, figure 2).
        kind: `soft`, or `hard` (sampled, trained by reinforcement).
        contract: what goes in and comes out, a key of `CONTRACTS`.
        masked: `forward` takes `mask`, bool (B, N), True where a token is present.
        insertion, options, provenance, trial: see these records.
    """

    name: str
    target: str
    aliases: tuple[str, ...] = ()
    shared_names: tuple[str, ...] = ()
    family: str = "other"
    kind: Kind = "soft"
    contract: Contract = "map"
    masked: bool = False
    insertion: Insertion = Insertion()
    options: OptionNames = OptionNames()
    provenance: Provenance = Provenance()
    trial: Trial = Trial()

    def __post_init__(self) -> None:
        check_names("AttentionSpec", self.name, self.aliases)
        check_names("AttentionSpec", self.name, self.shared_names)
        where = f"AttentionSpec({self.name!r})"
        check_target(where, self.name, self.target)
        check_choices(where, self, kind=Kind, contract=Contract)
        check_records(
            where, self, insertion=Insertion, options=OptionNames, provenance=Provenance,
            trial=Trial,
        )  # fmt: skip
