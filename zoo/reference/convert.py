"""Authors' checkpoints into the zoo's own files: every key accounted for, or a refusal."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from zoo.build.attention import build_attention
from zoo.build.create import create_model
from zoo.errors import UsageError, WeightsMismatchError, ZooError
from zoo.reference.models import spec_of
from zoo.registry import Registry, default_registry
from zoo.registry.specs import AttentionSpec, KeyMap, ModelSpec
from zoo.runtime.files import write_atomically
from zoo.version import __version__
from zoo.weights.checkpoint_file import Checkpoint, read_checkpoint
from zoo.weights.keymaps import COUNTER, carry_over, map_keys, rename

# What a config cannot say: where weights come from, and what would not be the whole model.
RESERVED = frozenset({
    "name", "weights", "pretrained", "registry", "features_only", "out_indices", "checkpoint_path",
    "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir", "device", "dtype",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What became of a checkpoint: its keys are `used` or `dropped`, and there are no others."""

    name: str
    path: Path
    source_sha256: str
    used: int
    dropped: tuple[str, ...]
    parameters: int
    wrapper: tuple[str, ...]
    prefix: str


def convert(
    name: str,
    checkpoint: str | os.PathLike[str],
    out: str | os.PathLike[str],
    config: Mapping[str, Any] | None = None,
    *,
    registry: Registry | None = None,
) -> Converted:
    """Write the weights of an authors' checkpoint under the zoo's names.

    Args:
        name: of a model (`cbam_resnet50`, also a composition) or of a mechanism (`cbam`).
        checkpoint: PyTorch's pickle, read with `weights_only=True`, or safetensors. Wrappers
            (`state_dict`, `model`, ...) and prefixes (`module.`, ...) are taken off.
        out: a `.safetensors` file, written whole or not at all. For a model,
            `zoo.create_model(name, weights=out, **config)` loads it.
        config: options of the model or mechanism; settings of the authors' code are accepted.

    Raises:
        UnknownNameError, OptionError: the model cannot be built. UsageError: `out` cannot be
        written. WeightsError: the checkpoint cannot be read, or is not of this model; no file.
    """
    registry, config = registry or default_registry(), dict(config or {})
    source, target = Path(checkpoint).expanduser(), Path(out).expanduser()
    _check(source, target, config)
    spec, known_as = _spec(name, registry)
    module = _build(spec, known_as, registry, config)
    read = read_checkpoint(source)
    try:
        used, dropped = _fill(module, spec, read, registry)
    except WeightsMismatchError as error:
        raise _mismatch(error, known_as, source, config) from error
    metadata = _metadata(spec, known_as, config, source, read)
    _write(module, target, metadata)
    return Converted(
        name=known_as, path=target, source_sha256=read.sha256, used=used, dropped=dropped,
        parameters=sum(p.numel() for p in module.parameters()), wrapper=read.wrapper,
        prefix=read.prefix,
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


def _spec(name: str, registry: Registry) -> tuple[AttentionSpec | ModelSpec, str]:
    """The spec whose key map is used, and the name of what is built."""
    attention = registry.attentions.get(registry.aliases.get(name, name))
    if attention is not None:
        return attention, attention.name
    return spec_of(name, registry), registry.model_aliases.get(name, name)


def _build(
    spec: AttentionSpec | ModelSpec, name: str, registry: Registry, config: Mapping[str, Any]
) -> nn.Module:
    if isinstance(spec, AttentionSpec) and spec.name == name:
        return build_attention(spec, registry, None, config)
    return create_model(name, registry=registry, **config)


def _fill(
    module: nn.Module, spec: AttentionSpec | ModelSpec, read: Checkpoint, registry: Registry
) -> tuple[int, tuple[str, ...]]:
    """Carry the state over; the number of keys used, and those left out."""
    owner = registry.owner(spec)
    mapped = _map(spec, read.state, module, owner)
    own = module.state_dict(keep_vars=True)
    unknown = [k for k in mapped if k not in own and not k.endswith(COUNTER)]
    missing = [k for k, v in own.items() if k not in mapped and _must_be_filled(k, v)]
    if unknown or missing:
        theirs = _authors_names(spec.provenance.key_map, read.state, owner)
        parts = (("not of the model", [theirs.get(k, k) for k in unknown]), ("missing", missing))
        text = "; ".join(f"{what}: {_some(keys)}" for what, keys in parts if keys)
        raise WeightsMismatchError(f"{len(unknown) + len(missing)} keys do not fit, {text}")
    carry_over(mapped, module)
    dropped = _dropped(spec.provenance.key_map, read.state, mapped, own, owner)
    return len(read.state) - len(dropped), dropped


def _map(
    spec: AttentionSpec | ModelSpec, state: Mapping[str, Tensor], module: nn.Module, owner: str
) -> dict[str, Tensor]:
    try:
        return map_keys(spec.provenance.key_map, state, module, owner)
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


def _metadata(
    spec: AttentionSpec | ModelSpec, name: str, config: Mapping[str, Any], source: Path,
    read: Checkpoint,
) -> dict[str, str]:  # fmt: skip
    """What the file says of itself; `zoo push FILE` reads the model and its options from it."""
    key = "attention" if isinstance(spec, AttentionSpec) and spec.name == name else "name"
    return {
        "format": "pt",
        "zoo": json.dumps({key: name, "options": dict(config)}, default=str),
        "zoo_version": __version__,
        "source_format": name,
        "source_file": source.name,
        "source_sha256": read.sha256,
    }


def _write(module: nn.Module, target: Path, metadata: dict[str, str]) -> None:
    state = {key: tensor.detach().clone() for key, tensor in module.state_dict().items()}
    try:
        write_atomically(target, to_safetensors(state, metadata))
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(target)) from error
