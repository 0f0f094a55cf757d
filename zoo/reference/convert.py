"""Converting the checkpoints of authors into files of the zoo. Every key is accounted for, or
refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from zoo.build.attention import build_attention
from zoo.build.create import create_model
from zoo.errors import UsageError, WeightsMismatchError, ZooError
from zoo.registry import Registry, default_registry, names
from zoo.registry.specs import AttentionSpec, KeyMap
from zoo.runtime.files import write_atomically
from zoo.runtime.model_record import record_of
from zoo.version import __version__
from zoo.weights.checkpoint_file import Checkpoint, read_checkpoint
from zoo.weights.keymaps import COUNTER, carry_over, map_keys, rename
from zoo.weights.model_file import metadata, statement_of
from zoo.weights.safetensors_file import to_bytes
from zoo.weights.tensor_facts import classes_of, classifier_names, form_of

# What a config cannot say: where weights come from, and what would not be the whole model.
RESERVED = frozenset({
    "name", "weights", "pretrained", "registry", "features_only", "out_indices", "checkpoint_path",
    "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir", "device", "dtype", "backbone_weights",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What became of a checkpoint. Its keys are `used` or `dropped`, and there are no others.

    Attributes:
        wrapper: the entries that led to the state.
        prefix: what was taken off its keys.
        instead_of: the raw state beside an averaged one, which is left out.
        options: those that were given, stated by the file, or told by its tensors.
    """

    name: str
    path: Path
    source_sha256: str
    used: int
    dropped: tuple[str, ...]
    parameters: int
    wrapper: tuple[str, ...]
    prefix: str
    options: Mapping[str, Any]
    instead_of: str = ""


def convert(
    name: str,
    checkpoint: str | os.PathLike[str],
    out: str | os.PathLike[str],
    config: Mapping[str, Any] | None = None,
    *,
    registry: Registry | None = None,
) -> Converted:
    """Write the weights of an authors' checkpoint under the names of the zoo.

    Args:
        name: the name of a model (`cbam_resnet50`; it may be a composition) or of a mechanism
            (`cbam`).
        checkpoint: a pickle of PyTorch, read with `weights_only=True`, or safetensors. Wrappers
            (`state_dict`, `model`, ...) and prefixes (`module.`, ...) are taken off. If there are a
            state and its moving average (`state_dict_ema`), as timm's training saves them, the
            average is taken: it is what such a training measures and chooses its best epoch by.
        out: a `.safetensors` file. It is written as a whole or not at all. `zoo.create_model(name,
            weights=out)` loads that of a model.
        config: options of the model or the mechanism. Settings of the authors' code are accepted.
            Classes and form of insertion need not be given, since the tensors tell them.

    Raises:
        UnknownNameError, OptionError: the model cannot be built.
        UsageError: `out` cannot be written.
        WeightsError: the checkpoint cannot be read, or is not of this model. No file is written.
    """
    registry, config = registry or default_registry(), dict(config or {})
    source, target = Path(checkpoint).expanduser(), Path(out).expanduser()
    _check(source, target, config)
    kind = _kind(name, registry)
    module = _build(kind, registry, config)  # what is wrong with the call, before a large file
    read = read_checkpoint(source)
    try:
        fitted = _fitted(kind, module, read, registry, config)
        used, dropped = _fill(fitted, read)
    except WeightsMismatchError as error:
        raise _mismatch(error, kind.name, source, config) from error
    module = fitted.module
    _write(module, target, _metadata(fitted, source, read))
    return Converted(
        name=kind.name, path=target, source_sha256=read.sha256, used=used, dropped=dropped,
        parameters=sum(p.numel() for p in module.parameters()), wrapper=read.wrapper,
        prefix=read.prefix, options=fitted.config, instead_of=read.instead_of,
    )  # fmt: skip


def _check(source: Path, target: Path, config: Mapping[str, Any]) -> None:
    if target.suffix != ".safetensors":
        raise UsageError(f"{target} is not named *.safetensors", remedy=f"{target}.safetensors")
    if target.is_dir():
        raise UsageError(f"{target} is a folder")
    if target.exists() and source.exists() and target.samefile(source):
        raise UsageError("the checkpoint would be overwritten", where=str(target))
    reserved = sorted(RESERVED & config.keys())
    if reserved:
        raise UsageError(f"the config cannot have {', '.join(map(repr, reserved))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What a checkpoint is of: a model, or a `mechanism` alone; and its authors' names."""

    name: str
    key_map: KeyMap = ()
    owner: str = "timm"
    mechanism: AttentionSpec | None = None


def _kind(name: str, registry: Registry) -> _Kind:
    mechanism = registry.attentions.get(registry.aliases.get(name, name))
    if mechanism is not None:
        owner = registry.owner(mechanism)
        return _Kind(
            name=mechanism.name,
            key_map=mechanism.provenance.key_map,
            owner=owner,
            mechanism=mechanism,
        )
    read = names.parse(name, registry)
    spec, known_as = read.spec or read.attention, registry.model_aliases.get(name, name)
    if spec is None:  # a plain backbone, under timm's names
        return _Kind(name=known_as)
    return _Kind(name=known_as, key_map=spec.provenance.key_map, owner=registry.owner(spec))


def _build(kind: _Kind, registry: Registry, config: Mapping[str, Any]) -> nn.Module:
    if kind.mechanism is not None:
        return build_attention(kind.mechanism, registry, None, config)
    return create_model(kind.name, registry=registry, **config)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fitted:
    """The module that a checkpoint is of, the options that make it, and the state to carry over.

    `kind.key_map` is empty where the checkpoint has the module's own names.
    """

    kind: _Kind
    module: nn.Module
    config: Mapping[str, Any]
    state: Mapping[str, Tensor]


def _fitted(
    kind: _Kind, module: nn.Module, read: Checkpoint, registry: Registry, config: Mapping[str, Any]
) -> _Fitted:
    """What the config leaves open, the file states, or its tensors tell: classes, and form."""
    stated = statement_of(read.metadata, "the checkpoint") if read.metadata else None
    if stated and stated.name == kind.name:
        config = {**stated.arguments, **config}
        module = _build(kind, registry, config)
    fitted = _named(kind, module, read, config)
    told = {} if kind.mechanism else _told(fitted)
    if not told:
        return fitted
    config = {**config, **told}
    return _named(kind, _build(kind, registry, config), read, config)


def _told(fitted: _Fitted) -> dict[str, Any]:
    told: dict[str, Any] = {}
    module, state = fitted.module, fitted.state
    settings = getattr(module, "pretrained_cfg", None) or {}
    names = settings.get("classifier") or classifier_names(module)
    classes = classes_of(state, module, names)
    if "num_classes" not in fitted.config and classes not in (0, None, module.num_classes):
        told["num_classes"] = classes
    form = form_of(state, module)
    record = record_of(module)
    placed = record.insertion if record is not None and record.attention else None
    if "insertion" not in fitted.config and placed and form not in (None, placed):
        told["insertion"] = form
    return told


def _named(kind: _Kind, module: nn.Module, read: Checkpoint, config: Mapping[str, Any]) -> _Fitted:
    """The state under our names: by the authors' map, or as it is where it has them already."""
    own, raw = module.state_dict().keys(), read.state
    as_it_is = _Fitted(
        kind=changed(kind, key_map=()), module=module, config=config, state=dict(raw)
    )
    try:
        state = _map(kind, raw, module)
    except WeightsMismatchError:
        if raw.keys() <= own:
            return as_it_is
        raise
    if len(own & raw.keys()) > len(own & state.keys()):
        return as_it_is
    return _Fitted(kind=kind, module=module, config=config, state=state)


def _fill(fitted: _Fitted, read: Checkpoint) -> tuple[int, tuple[str, ...]]:
    """Carry the state over; the number of keys used, and those left out."""
    kind, module, mapped = fitted.kind, fitted.module, fitted.state
    own = module.state_dict(keep_vars=True)
    unknown = [k for k in mapped if k not in own and not k.endswith(COUNTER)]
    missing = [k for k, v in own.items() if k not in mapped and _must_be_filled(k, v)]
    if unknown or missing:
        theirs = _authors_names(kind.key_map, read.state, kind.owner)
        parts = (("not of the model", [theirs.get(k, k) for k in unknown]), ("missing", missing))
        text = "; ".join(f"{what}: {_some(keys)}" for what, keys in parts if keys)
        raise WeightsMismatchError(f"{len(unknown) + len(missing)} keys do not fit, {text}")
    carry_over(mapped, module)
    dropped = _dropped(kind.key_map, read.state, mapped, own, kind.owner)
    return len(read.state) - len(dropped), dropped


def _map(kind: _Kind, state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    try:
        return map_keys(kind.key_map, state, module, kind.owner)
    except ZooError:
        raise
    except KeyError as error:
        raise WeightsMismatchError(f"the key {error.args[0]!r} is missing") from error
    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError) as error:
        raise WeightsMismatchError(f"the key map cannot read it: {error}") from error


def _must_be_filled(name: str, tensor: Tensor) -> bool:
    """Parameters and statistics; not counters, nor tables of indices, which are computed."""
    return tensor.is_floating_point() and not name.endswith(COUNTER)


def _authors_names(key_map: KeyMap, state: Mapping[str, Tensor], owner: str) -> dict[str, str]:
    if isinstance(key_map, str):
        return {}
    return {rename(key_map, key, owner): key for key in state}


def _dropped(
    key_map: KeyMap, state: Mapping[str, Tensor], mapped: Mapping[str, Tensor],
    own: Mapping[str, Tensor], owner: str,
) -> tuple[str, ...]:  # fmt: skip
    """Keys that went nowhere: counters, and what the key map leaves out on purpose."""
    if not isinstance(key_map, str):
        return tuple(key for key in state if rename(key_map, key, owner) not in own)
    kept = {tensor.untyped_storage().data_ptr() for tensor in mapped.values()}
    left = [k for k, v in state.items() if v.numel() and v.untyped_storage().data_ptr() not in kept]
    lost = sum(t.numel() for t in state.values()) - sum(t.numel() for t in mapped.values())
    left_out = sum(state[key].numel() for key in left) == lost  # else they were merged
    counters = [k for k, v in mapped.items() if k not in own and k in state]
    return tuple([*left, *counters] if left_out else counters)


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:6]) + (f" and {len(keys) - 6} more" if len(keys) > 6 else "")


def _mismatch(
    error: WeightsMismatchError, name: str, source: Path, config: Mapping[str, Any]
) -> WeightsMismatchError:
    where = f"{source}: {error.where}" if error.where else str(source)
    options = "the options it was trained with" if not config else "other options"
    remedy = error.remedy or f"{options} (--config KEY=VALUE), or another model"
    return WeightsMismatchError(
        f"the checkpoint is not one of {name}: {error.what}", where=where, remedy=remedy
    )


def _metadata(fitted: _Fitted, source: Path, read: Checkpoint) -> dict[str, str]:
    """What the file says of itself, and of the checkpoint that it is from."""
    kind, module = fitted.kind, fitted.module
    if kind.mechanism:
        options = json.dumps({"attention": kind.name, "options": dict(fitted.config)}, default=str)
        told = {"format": "pt", "zoo": options, "zoo_version": __version__}
    else:
        settings = getattr(module, "pretrained_cfg", None) or {}
        told = metadata(kind.name, fitted.config, getattr(module, "num_classes", None), settings)
    return {
        **told,
        "source_format": kind.name,
        "source_file": source.name,
        "source_sha256": read.sha256,
    }


def _write(module: nn.Module, target: Path, metadata: dict[str, str]) -> None:
    try:
        write_atomically(target, to_bytes(module.state_dict(), metadata))
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(target)) from error
