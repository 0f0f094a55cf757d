"""Softmax attentions of hosts that a token mixer can stand beside, or in the place of.

Data before code: one `Kind` a way of calling. Its functions say how the tokens (B, N, C) are got
from the call, and how what is computed of them becomes the output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import IncompatibleBackboneError
from zoo.hosts.forms import Record
from zoo.insertion.starts import start_branch

Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Of softmax attention.

    Attributes:
        classes: full names.
        arguments: names of the positional arguments of its call.
        tokens: from the arguments to (B, N, C).
        output: from (B, N, C) and the arguments to what the attention returns.
        masks: arguments that a mixer cannot heed, each None or False in a call it understands.
        dim, heads: attributes with C and the number of heads.
    """

    classes: tuple[str, ...]
    arguments: tuple[str, ...]
    tokens: Callable[[Arguments, nn.Module], Tensor]
    output: Callable[[Tensor, Arguments, nn.Module], Any]
    masks: tuple[str, ...] = ()
    dim: str
    heads: str


def _plain(arguments: Arguments, _attention: nn.Module) -> Tensor:
    return arguments["x"]


def _same(y: Tensor, _arguments: Arguments, _attention: nn.Module) -> Tensor:
    return y


def _hidden(arguments: Arguments, _attention: nn.Module) -> Tensor:
    return arguments["hidden_states"]


def _with_weights(y: Tensor, _arguments: Arguments, _attention: nn.Module) -> tuple[Tensor, None]:
    return y, None


def _query(arguments: Arguments, attention: nn.Module) -> Tensor:
    query, key, value = (arguments[name] for name in ("query", "key", "value"))
    if query is not key or key is not value:
        raise _misuse("attends to other tokens than its own (query, key and value differ)")
    if query.ndim != 3:
        raise _misuse(f"is given {tuple(query.shape)}, without a batch")
    return query if getattr(attention, "batch_first", True) else query.transpose(0, 1)


def _as_torch(
    y: Tensor, _arguments: Arguments, attention: nn.Module
) -> tuple[Tensor, Tensor | None]:
    return (y if getattr(attention, "batch_first", True) else y.transpose(0, 1)), None


def _positions(arguments: Arguments, _attention: nn.Module) -> Tensor:
    return arguments["x"].flatten(1, 2)


def _as_map(y: Tensor, arguments: Arguments, _attention: nn.Module) -> Tensor:
    return y.unflatten(1, arguments["x"].shape[1:3])


KINDS = {
    "timm": Kind(
        classes=("timm.layers.attention.Attention",),
        arguments=("x", "attn_mask", "is_causal"), masks=("attn_mask", "is_causal"),
        tokens=_plain, output=_same, dim="qkv.in_features", heads="num_heads",
    ),
    "torch": Kind(
        classes=("torch.nn.modules.activation.MultiheadAttention",),
        arguments=("query", "key", "value", "key_padding_mask", "need_weights", "attn_mask"),
        masks=("key_padding_mask", "attn_mask", "is_causal"),
        tokens=_query, output=_as_torch, dim="embed_dim", heads="num_heads",
    ),
    "torchvision": Kind(
        classes=(
            "torchvision.models.swin_transformer.ShiftedWindowAttention",
            "torchvision.models.swin_transformer.ShiftedWindowAttentionV2",
        ),
        arguments=("x",), tokens=_positions, output=_as_map,
        dim="qkv.in_features", heads="num_heads",
    ),
    "transformers": Kind(
        classes=(
            "transformers.models.vit.modeling_vit.ViTAttention",
            "transformers.models.beit.modeling_beit.BeitAttention",
            "transformers.models.deit.modeling_deit.DeiTAttention",
            "transformers.models.dinov2.modeling_dinov2.Dinov2Attention",
            "transformers.models.dinov2_with_registers.modeling_dinov2_with_registers"
            ".Dinov2WithRegistersAttention",
            "transformers.models.ijepa.modeling_ijepa.IJepaAttention",
            "transformers.models.swin.modeling_swin.SwinAttention",
            "transformers.models.vit_mae.modeling_vit_mae.ViTMAEAttention",
            "transformers.models.vit_msn.modeling_vit_msn.ViTMSNAttention",
        ),
        arguments=("hidden_states", "attention_mask"), masks=("attention_mask",),
        tokens=_hidden, output=_with_weights,
        dim="q_proj.in_features", heads="num_attention_heads",
    ),
    "transformers_clip": Kind(
        classes=(
            "transformers.models.clip.modeling_clip.CLIPAttention",
            "transformers.models.siglip.modeling_siglip.SiglipAttention",
        ),
        arguments=("hidden_states", "attention_mask"), masks=("attention_mask", "is_causal"),
        tokens=_hidden, output=_with_weights,
        dim="q_proj.in_features", heads="num_heads",
    ),
}  # fmt: skip

_BY_CLASS = {name: kind for kind, of in KINDS.items() for name in of.classes}


def kind_of(module: nn.Module) -> str:
    """The kind of softmax attention that a module is; "" if none that is understood."""
    found = (_BY_CLASS.get(f"{cls.__module__}.{cls.__qualname__}") for cls in type(module).__mro__)
    return next((kind for kind in found if kind), "")


def width_and_heads(module: nn.Module) -> tuple[int, int]:
    """C of its tokens, and the number of its heads."""
    kind = KINDS[kind_of(module)]
    return attrgetter(kind.dim)(module), attrgetter(kind.heads)(module)


def understood(model: nn.Module) -> list[str]:
    """Paths of the softmax attentions of a host that can be replaced.

    Of windows, only those that are not shifted: the others are given a mask.
    """
    found: list[str] = []
    for path, module in model.named_modules():
        parent = model.get_submodule(path.rpartition(".")[0])
        shift = getattr(parent, "shift_size", 0)
        masked = kind_of(module) == "transformers" and shift != 0
        in_layer = isinstance(parent, nn.TransformerEncoderLayer | nn.TransformerDecoderLayer)
        if kind_of(module) and not masked and not in_layer:
            found.append(path)
    return found


class BesideSoftmax(nn.Module):
    """softmax attention + alpha f(x), alpha = 0 at the start.

    Of a grid's tokens alone where f does not take those before them, for which it is 0.
    """

    zoo_record: Record

    def __init__(self, attn: nn.Module, like: nn.Module) -> None:
        super().__init__()
        self.attn = attn
        self.alpha = nn.Parameter(torch.full((), start_branch(attn)))
        self.batch_first = getattr(like, "batch_first", True)

    def forward(self, output: Any, inputs: tuple[Any, ...], keywords: Arguments) -> Any:
        kind = KINDS[self.zoo_record.softmax]
        arguments = _arguments(kind, inputs, keywords)
        tokens, prefix = kind.tokens(arguments, self), self.zoo_record.layout.prefix
        prefix -= getattr(self.attn, "num_prefix_tokens", 0)
        y = F.pad(self.attn(tokens[:, prefix:]), (0, 0, prefix, 0)) if prefix else self.attn(tokens)
        y = kind.output(y, arguments, self)
        added, first = (y, output) if isinstance(y, Tensor) else (y[0], output[0])
        joined = first + self.alpha.to(first.dtype) * added
        return joined if isinstance(output, Tensor) else (joined, *output[1:])


class InsteadOfSoftmax(nn.Module):
    """f(x) where a softmax attention was, called as that was."""

    zoo_record: Record

    def __init__(self, attn: nn.Module, like: nn.Module) -> None:
        super().__init__()
        self.attn = attn
        self.batch_first = getattr(like, "batch_first", True)

    def forward(self, *inputs: Any, **keywords: Any) -> Any:
        kind = KINDS[self.zoo_record.softmax]
        arguments = _arguments(kind, inputs, keywords)
        return kind.output(self.attn(kind.tokens(arguments, self)), arguments, self)


def _arguments(kind: Kind, inputs: tuple[Any, ...], keywords: Arguments) -> Arguments:
    arguments = {**dict(zip(kind.arguments, inputs, strict=False)), **keywords}
    for name in kind.masks:
        given = arguments.get(name)
        if given is not None and given is not False and not _is_drawn_up(name):
            raise _misuse(f"is given {name}, which this attention cannot heed")
    return arguments


def _is_drawn_up(name: str) -> bool:
    """Whether the mask is one that transformers makes for an export, and for nothing else.

    It leaves out a mask that hides nothing where it can look at its values, and there it cannot.
    """
    return name == "attention_mask" and torch.compiler.is_exporting()


def _misuse(what: str) -> IncompatibleBackboneError:
    return IncompatibleBackboneError(
        f"the attention in whose place, or beside which, another stands {what}",
        remedy="zoo.remove_attention(model), then other places",
    )
