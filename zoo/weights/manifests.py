"""Manifests: a `WeightsSpec` as a TOML file, `<model>.<tag>.toml`."""

from __future__ import annotations

import json
import tomllib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from zoo.errors import ConfigError, WeightsWarning, ZooError
from zoo.registry.specs import WeightsSpec

SIZE_LIMIT = 64 * 1024  # bytes
_FIELDS = {field.name: field for field in fields(WeightsSpec)}
_TYPES: dict[str, tuple[type, ...]] = {
    "num_classes": (int,), "default": (bool,), "input": (dict,), "options": (dict,),
    "metrics": (dict,),
}  # fmt: skip


def read_folder(folder: str | Path) -> Iterator[WeightsSpec]:
    """Every manifest of a folder, by name. A wrong one is left out with a warning."""
    for path in sorted(Path(folder).glob("*.toml")):
        try:
            yield read(path)
        except ZooError as error:
            warnings.warn(f"a manifest is left out: {error}", WeightsWarning, stacklevel=2)


def read(path: Path) -> WeightsSpec:
    """Read one manifest.

    Raises:
        ConfigError: it is not TOML, has an unknown key, lacks one, or has a value of the wrong
            type.
        SpecError: a value is out of bounds.
    """
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_LIMIT + 1)
        if len(content) > SIZE_LIMIT:
            raise ValueError(f"larger than {SIZE_LIMIT} bytes")
        table = tomllib.loads(content.decode())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"the manifest cannot be read: {error}", where=str(path)) from None
    return from_table(table, str(path))


def from_table(table: Mapping[str, Any], where: str) -> WeightsSpec:
    """The spec of a manifest's table. Lists become tuples."""
    unknown = table.keys() - _FIELDS.keys()
    missing = {"model", "tag", "kind"} - table.keys()
    if unknown or missing:
        raise ConfigError(
            f"unknown keys {sorted(unknown)}, missing keys {sorted(missing)}",
            where=where,
            remedy=f"a manifest has {', '.join(_FIELDS)}",
        )
    for key, value in table.items():
        allowed = _TYPES.get(key, (str,))
        if type(value) not in allowed:
            raise ConfigError(f"{key} = {value!r:.80} is not {allowed[0].__name__}", where=where)
    return WeightsSpec(**{key: _freeze(value) for key, value in table.items()})


def _freeze(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_freeze(item) for item in value)
    if isinstance(value, dict):
        return {key: _freeze(item) for key, item in value.items()}
    return value


def dumps(spec: WeightsSpec) -> str:
    """The TOML of a spec. It has what is not a default, and tables come last."""
    values = {name: getattr(spec, name) for name in _FIELDS}
    given = {k: v for k, v in values.items() if v is not False and v != "" and v != {}}
    plain = [f"{key} = {_toml(v)}" for key, v in given.items() if not isinstance(v, Mapping)]
    tables = [_table(key, value) for key, value in given.items() if isinstance(value, Mapping)]
    return "\n".join([*plain, *tables]) + "\n"


def _table(name: str, values: Mapping[str, Any]) -> str:
    rows = [f"{_key(key)} = {_toml(value)}" for key, value in values.items() if value is not None]
    return "\n".join([f"\n[{name}]", *rows])


def _key(key: str) -> str:
    bare = key.replace("_", "").replace("-", "")
    return key if bare.isascii() and bare.isalnum() else _toml(key)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    raise ConfigError(f"{value!r:.80} cannot be written in a manifest")
