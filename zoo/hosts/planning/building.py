"""One mechanism, built for one place of a host and started as asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)

from zoo.build.attention import build_attention
from zoo.errors import IncompatibleBackboneError, OptionError, PluginError, UsageError
from zoo.insertion.mixers import heard
from zoo.insertion.probe import fake_copy
from zoo.registry import Registry
from zoo.registry.options import check_names, option_names
from zoo.registry.specs import MAPS, AttentionSpec, Form
from zoo.registry.targets import resolve

FORMS: tuple[Form, ...] = ("plain", "exact", "residual")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mechanism:
    """What is to be added everywhere: a spec, the user's options, and the form (None: unmoved)."""

    spec: AttentionSpec
    registry: Registry
    options: Mapping[str, Any]
    form: Form | None

    @property
    def gates_skips(self) -> bool:
        """Whether it takes a second map, and so goes onto a skip connection."""
        return self.spec.insertion.role == "gate_skip"

    def check(self) -> None:
        """The mechanism goes into hosts, takes these options, and can start in this form.

        Raises:
            UsageError, OptionError, IncompatibleBackboneError: before anything is built.
        """
        spec = self.spec
        fits = self.gates_skips or spec.contract in (*MAPS, "tokens")
        if spec.insertion.role == "none" or not fits:
            raise IncompatibleBackboneError(
                f"{spec.name} ({spec.contract}) takes no single map and no tokens, so it cannot "
                "follow a module",
                remedy=f'zoo.create_attention("{spec.name}")',
            )
        if self.form not in (None, *FORMS):
            shown = ", ".join(map(repr, FORMS))
            raise UsageError(f"insertion={self.form!r} is none of {shown}")
        if self.form == "exact" and spec.insertion.identity != "exact":
            raise UsageError(
                f"{spec.name} cannot start as the identity by itself",
                where="insertion='exact'",
                remedy="insertion='residual'",
            )
        check_names(spec, self._constructor, self.options)

    @property
    def on_tokens(self) -> bool:
        """Whether it takes tokens, not maps."""
        return self.spec.contract == "tokens"

    def keywords(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """The user's options, and what is known of the place that the mechanism asks for."""
        return {**heard(known, option_names(self._constructor)), **self.options}

    def build(self, path: str, channels: int, keywords: Mapping[str, Any]) -> nn.Module:
        """The module for one place.

        Raises:
            IncompatibleBackboneError: it cannot have these channels.
        """
        try:
            return build_attention(self.spec, self.registry, channels, keywords)
        except OptionError as error:
            raise IncompatibleBackboneError(
                f"{self.spec.name} cannot go to {path}, which has {channels} channels: "
                f"{error.what}",
                where=error.where,
                remedy=error.remedy or "other options, or other places",
            ) from error

    def start(self, attention: nn.Module, path: str) -> tuple[Form, float]:
        """Start it as the identity where it can; the form, and the constant of an exact one."""
        if self.form in ("plain", "residual"):
            return self.form, 1.0
        if self.form is None and self.spec.insertion.warm_form == "residual":
            return "residual", 1.0
        try:
            gate: object = attention.init_identity()  # pyright: ignore[reportCallIssue]
        except OptionError as error:  # with these options it cannot
            if self.form == "exact":
                raise IncompatibleBackboneError(
                    f"{self.spec.name} cannot start as the identity at {path}: {error.what}",
                    remedy="insertion='residual'",
                ) from error
            return "residual", 1.0
        if not isinstance(gate, int | float) or not 0 < abs(gate) < inf:
            raise PluginError(
                f"init_identity() of {self.spec.name} returned {gate!r}, not the constant c of c x",
                where=self.spec.target,
                remedy="return c from init_identity(), a finite number other than 0",
            )
        return "exact", float(gate)

    @property
    def _constructor(self) -> Any:
        return resolve(self.spec.target, self.registry.owner(self.spec))


def check_shape(
    mechanism: Mechanism, path: str, module: nn.Module, apply: Any, shapes: tuple[Any, Any]
) -> None:
    """On fake tensors, what the module makes of the one shape is the other.

    Args:
        apply: `(module, x) -> y`.

    Raises:
        IncompatibleBackboneError: it fails, or gives another shape.
    """
    given, wanted = shapes
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    twin = fake_copy(module, mode)
    first = next((t for t in twin.parameters() if t.is_floating_point()), None)
    try:
        with mode, torch.no_grad():
            x: Tensor = torch.empty(
                given,
                dtype=first.dtype if first is not None else None,
                device=first.device if first is not None else None,
            )
            found = tuple(apply(twin, x).shape)
    except (DataDependentOutputException, DynamicOutputShapeException):
        return  # values decide what it computes, so that nothing can be known without them
    except Exception as error:  # a mechanism may be anyone's
        text = " ".join(str(error).split())[:200]
        raise IncompatibleBackboneError(
            f"{mechanism.spec.name} cannot be applied at {path}, to {tuple(given)}: {text}",
            remedy="other options, or other places",
        ) from error
    if found != tuple(wanted):
        raise IncompatibleBackboneError(
            f"{mechanism.spec.name} gives {found} at {path}, where the host has {tuple(wanted)}",
            remedy="other options, or other places",
        )
