"""The `config.json` of a repository, in timm's schema, read as data.

Known keys with plain values are taken, and others are passed over. What would choose another source
of weights is refused. Nothing that a config names is imported.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.errors import ConfigError
from zoo.registry import default_registry, names, packages

logger = logging.getLogger("zoo.hub")

SIZE_LIMIT = 8 * 2**20  # bytes; 21,841 labels with descriptions take 2 MB
INPUT_KEYS = (
    "input_size", "test_input_size", "min_input_size", "fixed_input_size", "interpolation",
    "crop_pct", "test_crop_pct", "crop_mode", "mean", "std",
)  # fmt: skip
LABEL_KEYS = ("label_names", "label_descriptions")
_OVERRIDES = ("num_classes", *LABEL_KEYS, "labels")
TOP_KEYS = frozenset({
    "architecture", "num_classes", "num_features", "global_pool", "model_args", "pretrained_cfg",
    "label_names", "label_descriptions", "labels", "packages",
})  # fmt: skip
_FORBIDDEN_ARGS = frozenset({
    "pretrained", "checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir",
    "state_dict", "weights", "backbone_weights", "registry", "pretrained_strict",
    "pretrained_filter_fn", "device", "dtype",
})  # fmt: skip
_ARCHITECTURE = re.compile(r"[A-Za-z0-9][\w.-]{0,127}\Z", re.ASCII)
_WORD = re.compile(r"[A-Za-z_]\w{0,63}\Z", re.ASCII)
_KEY = re.compile(r"\w{1,64}\Z", re.ASCII)  # of a table in an argument: {"64": 56}
_INTERPOLATIONS = frozenset("nearest bilinear bicubic lanczos box hamming random".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class HubConfig:
    """What a repository says of its model: the architecture, and the arguments that build it.

    Attributes:
        labels: timm's `label_names` (a tuple, or a table by index) and `label_descriptions`.
        largest_file: the size in bytes of the largest file of the repository; 0 if it is not known.
    """

    architecture: str
    num_classes: int = 1000
    model_args: Mapping[str, Any] = field(default_factory=dict[str, Any])
    input: Mapping[str, Any] = field(default_factory=dict[str, Any])
    license: str = ""
    labels: Mapping[str, Any] = field(default_factory=dict[str, Any])
    largest_file: int = 0


def parse(content: bytes, where: str) -> HubConfig:
    """Read a config from the bytes of a `config.json`.

    Raises:
        ConfigError: it is not JSON, names no architecture, or has a value out of bounds; the
            message names the key.
        UnknownNameError: the architecture is from a plugin's package, which the config names and
            which is not here.
    """
    top = _load(content, where)
    nested = top.get("pretrained_cfg", top)
    if not isinstance(nested, dict):
        raise ConfigError("pretrained_cfg is not a table", where=where)
    unknown = sorted(top.keys() - TOP_KEYS) if "pretrained_cfg" in top else []
    if unknown:
        logger.info("%s: keys passed over: %s", where, ", ".join(map(repr, unknown))[:500])
    values = {**nested, **{key: top[key] for key in _OVERRIDES if key in top}}
    if not _given(values, "label_names") and _given(values, "labels"):
        values["label_names"] = values["labels"]  # what timm called it before
    checked = {key: _check(key, values[key], where) for key in _CHECKS if _given(values, key)}
    if not _given(top, "architecture"):
        raise ConfigError("the config names no architecture", where=where)
    architecture = _check("architecture", top["architecture"], where)
    arguments = _model_args(top.get("model_args") or {}, where)
    _check_known(architecture, arguments.get("attention"), top.get("packages"), where)
    return HubConfig(
        architecture=architecture,
        num_classes=checked.get("num_classes", 1000),
        model_args=arguments,
        input={key: checked[key] for key in INPUT_KEYS if key in checked},
        license=checked.get("license", ""),
        labels={key: checked[key] for key in LABEL_KEYS if checked.get(key)},
    )


def _check_known(architecture: str, attention: Any, told: Any, where: str) -> None:
    """Refuse a model of a plugin that is not here, where the config says whose it is."""
    own = packages.stated(told)
    packages.known(lambda: names.parse(architecture, default_registry()), own, where)
    if isinstance(attention, str):
        packages.known(lambda: names.attention(attention, default_registry()), own, where)


def _given(values: Mapping[str, Any], key: str) -> bool:
    return values.get(key) is not None


def _load(content: bytes, where: str) -> dict[str, Any]:
    if len(content) > SIZE_LIMIT:
        raise ConfigError(f"the config is larger than {SIZE_LIMIT} bytes", where=where)
    try:
        top = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the config is not JSON: {str(error)[:120]}", where=where) from None
    if not isinstance(top, dict):
        raise ConfigError("the config is not a JSON object", where=where)
    return top


def _check(key: str, value: Any, where: str) -> Any:
    if not _CHECKS[key](value):
        raise ConfigError(f"{key} = {_show(value)} is out of bounds", where=where)
    return tuple(value) if isinstance(value, list) else value


def _show(value: Any) -> str:
    return repr(value)[:80]


def _integer(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda v: type(v) in (int, float) and math.isfinite(v) and low <= v <= high


def _sequence(of: Callable[[Any], bool], most: int, least: int = 1) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, list) and least <= len(v) <= most and all(map(of, v))


def _text(most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and len(value) <= most


def _table(key: Callable[[Any], bool], most: int) -> Callable[[Any], bool]:
    text = _text(1000)
    return lambda v: isinstance(v, dict) and len(v) <= most and all(
        key(name) and text(value) for name, value in v.items()
    )  # fmt: skip


def _is_index(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9]{1,7}", value) is not None


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


_SIZE = _sequence(_integer(1, 8192), 3, 3)
_CHECKS: dict[str, Callable[[Any], bool]] = {
    "architecture": lambda value: isinstance(value, str) and bool(_ARCHITECTURE.match(value)),
    "num_classes": _integer(0, 1_000_000),
    "input_size": _SIZE,
    "test_input_size": _SIZE,
    "min_input_size": _SIZE,
    "fixed_input_size": _is_flag,
    "interpolation": lambda value: isinstance(value, str) and value in _INTERPOLATIONS,
    "crop_pct": _number(0.01, 4.0),
    "test_crop_pct": _number(0.01, 4.0),
    "crop_mode": lambda value: isinstance(value, str) and value in ("center", "squash", "border"),
    "mean": _sequence(_number(-1e4, 1e4), 1024),
    "std": _sequence(_number(1e-8, 1e4), 1024),
    "license": _text(200),
    "label_names": lambda value: (
        _sequence(_text(1000), 1_000_000, 0)(value) or _table(_is_index, 1_000_000)(value)
    ),
    "label_descriptions": _table(_text(1000), 1_000_000),
}


def _model_args(arguments: Any, where: str) -> dict[str, Any]:
    """Arguments of `create_model`: plain values under plain names, of bounded size and number."""
    if not isinstance(arguments, dict) or len(arguments) > 64:
        raise ConfigError("model_args is not a table of at most 64 arguments", where=where)
    refused = sorted(_FORBIDDEN_ARGS & arguments.keys())
    if refused:
        raise ConfigError(
            f"model_args may not set {', '.join(refused)}",
            where=where,
            remedy="give it to create_model yourself, if it is what you want",
        )
    return {key: _plain(key, value, where) for key, value in arguments.items()}


def _plain(key: str, value: Any, where: str, depth: int = 0) -> Any:
    word = _KEY if depth else _WORD
    if isinstance(key, str) and word.match(key) and not key.startswith("__") and depth < 5:
        if isinstance(value, dict) and len(value) <= 64:
            return {k: _plain(k, item, where, depth + 1) for k, item in value.items()}
        if isinstance(value, list) and len(value) <= 512:
            return tuple(_plain(key, item, where, depth + 1) for item in value)
        if value is None or isinstance(value, bool) or _is_plain_number(value):
            return value
        if isinstance(value, str) and len(value) <= 256 and value.isprintable():
            return value
    raise ConfigError(f"model_args: {key[:64]!r} = {_show(value)} is out of bounds", where=where)


def _is_plain_number(value: Any) -> bool:
    """How large a number may be in a model, its weights decide: see `zoo.build.budget`."""
    return type(value) in (int, float) and math.isfinite(value) and abs(value) < 2**31
