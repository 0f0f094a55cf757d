"""The modules that live in a host: an attention, and how it is joined to what the host computes.

A form is called with the output of the host's module and with what the module was called with. The
equations are those of `zoo.insertion.forms`. A `Record` on each says how to build it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from zoo.errors import IncompatibleBackboneError
from zoo.hosts.reading.layouts import Layout
from zoo.hosts.reading.outputs import Way, put, take
from zoo.insertion.forms import AddedBranch, Attended, ResidualAttended, ScaledAttended
from zoo.insertion.starts import residual_alpha
from zoo.registry.specs import Form

Joining: TypeAlias = Literal["after", "child", "set", "beside", "replace", "before", "signal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What was added at one place.

    Attributes:
        mechanism: its name in the zoo.
        joining: `after` the output of a module; as its last `child`, where it runs its children;
            `set` where the host keeps an empty place or a module without parameters; `beside` a
            convolution or a softmax attention; `replace`, in its stead; `before` a module, on one
            of its inputs; or `signal`, where the output of a module is what such a gate looks at.
        form: `plain`, `exact` or `residual`.
        channels, options: what the mechanism was built with.
        on_tokens: whether the mechanism takes tokens.
        layout, way: of the tensor in the module's output (`zoo.hosts.reading.layouts`, `outputs`).
        scaled: whether the form holds the constant that makes the start exact.
        base_first: with `set`, whether what stood there runs before the attention.
        softmax: the kind of the softmax attention there, "" for anything else.
        argument, first, end: with `before`, the position or keyword of the input, and which of its
            channels are gated.
        partner: with `signal`, the path of the gate that looks at it.
    """

    mechanism: str
    joining: Joining
    form: Form
    channels: int
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    on_tokens: bool = False
    layout: Layout = Layout(kind="nchw")
    way: Way = ()
    scaled: bool = False
    base_first: bool = False
    softmax: str = ""
    argument: int | str = 0
    first: int = 0
    end: int = 0
    partner: str = ""


class _OnOutput(Attended):
    """An attention on one tensor of a module's output."""

    zoo_record: Record

    def forward(self, output: Any, *_inputs: Any) -> Any:  # pyright: ignore
        record = self.zoo_record
        x = take(output, record.way)
        on = record.layout.on_tokens if record.on_tokens else record.layout.on_map
        return put(output, record.way, on(self.combine, x))


class OnOutput(_OnOutput):
    """f(x)."""


class ScaledOnOutput(_OnOutput, ScaledAttended):  # pyright: ignore[reportIncompatibleMethodOverride]
    """f(x) / c."""


class ResidualOnOutput(_OnOutput, ResidualAttended):  # pyright: ignore[reportIncompatibleMethodOverride]
    """x + alpha (f(x) - x), alpha as `zoo.insertion.starts` says."""


class BesideConvolution(AddedBranch):
    """conv(x) + alpha f(x), alpha = 0 at the start."""

    zoo_record: Record

    def forward(self, output: Tensor, inputs: tuple[Tensor, ...], keywords: Any) -> Tensor:  # pyright: ignore
        x = inputs[0] if inputs else keywords["input"]
        return output + self.alpha.to(output.dtype) * self.attn(x)


class InsteadOfConvolution(nn.Module):
    """f(x) where a convolution was."""

    zoo_record: Record

    def __init__(self, attn: nn.Module) -> None:
        super().__init__()
        self.attn = attn

    def forward(self, x: Tensor) -> Tensor:
        return self.attn(x)


class GatedInput(nn.Module):
    """x + alpha (f(x, g) - x) on some channels of one input of a module, alpha = 0 at the start.

    With `alpha=False` it is f(x, g). g is the signal that a `Signal` handed over in the same pass.
    """

    zoo_record: Record

    def __init__(self, attn: nn.Module, *, alpha: bool = True) -> None:
        super().__init__()
        self.attn = attn
        self.alpha = nn.Parameter(torch.zeros(())) if alpha else None
        self.signal: Tensor | None = None

    def before(
        self, inputs: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The inputs of the module, gated."""
        key = self.zoo_record.argument
        if isinstance(key, str):
            return inputs, {**keywords, key: self._gated(keywords[key])}
        return (*inputs[:key], self._gated(inputs[key]), *inputs[key + 1 :]), dict(keywords)

    def forward(self, x: Tensor, gating: Tensor) -> Tensor:
        """x (B, C, H, W) and g (B, C_g, H_g, W_g) -> the shape of x."""
        gated = self.attn(x, gating)
        return gated if self.alpha is None else x + self.alpha.to(x.dtype) * (gated - x)

    def _gated(self, given: Tensor) -> Tensor:
        signal, self.signal = self.signal, None  # nothing stays behind after a pass
        if signal is None:
            raise IncompatibleBackboneError(
                f"{self.zoo_record.mechanism} has no gating signal: the module that gives it was "
                "not called before",
                remedy="zoo.remove_attention(model), if the model is used in another way now",
            )
        first, end = self.zoo_record.first, self.zoo_record.end
        gated = self(given[:, first:end], signal)
        if gated.shape == given.shape:
            return gated
        return torch.cat((given[:, :first], gated, given[:, end:]), 1)


class Signal(nn.Module):
    """Hands what a module gives over to a gate that comes later; the output is as it was."""

    zoo_record: Record

    def __init__(self, gate: GatedInput) -> None:
        super().__init__()
        self.gate = [gate]  # in a list, so that the gate is no child of this

    def forward(self, output: Any, *_inputs: Any) -> Any:
        self.gate[0].signal = take(output, self.zoo_record.way)
        return output


def on_output(record: Record, attn: nn.Module, gate: float = 1.0) -> Attended:
    """The form on a module's output that the record asks for."""
    if record.form == "residual":
        return ResidualOnOutput(attn, alpha=residual_alpha(attn))
    return ScaledOnOutput(attn, gate=gate) if record.scaled else OnOutput(attn)


def at_a_place(
    record: Record, attn: nn.Module, base: nn.Module | None, gate: float = 1.0
) -> Attended:
    """The form where the host has a place, with what stood there."""
    where = {"base_first": record.base_first, "channels_last": record.layout.kind == "nhwc"}
    if record.form == "residual":
        return ResidualAttended(attn, base, alpha=residual_alpha(attn), **where)
    if record.scaled:
        return ScaledAttended(attn, base, gate=gate, **where)
    return Attended(attn, base, **where)
