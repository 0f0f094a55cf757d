"""A file of weights that says what it is: which model, how it was built, its classes and its input.

The statement lies in the metadata of the safetensors file. `zoo` is a JSON object with the model's
`name`, the `options` of `create_model` that rebuild it, and the `packages` of others that it is
from, if any. `num_classes`, `input` (preprocessing settings in timm's names) and `labels` (the
names of the classes, if they are known) stand beside it. It is read as the `config.json` of a
repository is: plain values, within bounds, and nothing that would choose another source of weights.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ConfigError, OptionError, UsageError
from zoo.registry import packages
from zoo.runtime.files import write_atomically
from zoo.runtime.model_record import record_of
from zoo.version import __version__
from zoo.weights.config import INPUT_KEYS, LABEL_KEYS, parse
from zoo.weights.safetensors_file import inspect, to_bytes
from zoo.weights.verified_file import local_file

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = "model.safetensors"  # in the folder of a run, and in a repository of the Hub
FORMS = ("attention", "attention_options", "sites", "insertion", "replace")
SETTINGS = ("pretrained_cfg", "pretrained_cfg_overlay")  # timm's keywords for settings of images


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a file or a repository says of its model: its name, and how `create_model` rebuilds it.

    Attributes:
        input: the preprocessing settings that the weights were trained for, and timm's
            `label_names` and `label_descriptions` of the classes, where they are stated.
    """

    name: str
    arguments: Mapping[str, Any]
    input: Mapping[str, Any] = field(default_factory=dict[str, Any])


def read_statement(path: str | os.PathLike[str]) -> Statement | None:
    """What a safetensors file says of itself; None if it says nothing, or is that of a mechanism.

    Raises:
        WeightsNotFoundError: there is no such file.
        CorruptWeightsError: it is not safetensors.
        ConfigError: the statement is not one, or has values out of bounds.
    """
    with local_file(path) as file:
        return statement_of(inspect(file).metadata, str(file.path))


def statement_of(metadata: Mapping[str, str], where: str) -> Statement | None:
    """What the metadata of a file says. It raises as `read_statement` does."""
    if "zoo" not in metadata:
        return None
    told = {key: _load(metadata, key, where) for key in ("zoo", "num_classes", "input", "labels")}
    tables: dict[str, Any] = {key: told[key] or {} for key in ("zoo", "input", "labels")}
    for key, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigError(f"the metadata {key!r} is not a JSON object", where=where)
    stated = tables["zoo"]
    if "name" not in stated:
        return None
    config = {
        "architecture": stated["name"],
        "model_args": stated.get("options"),
        "num_classes": told["num_classes"],
        "pretrained_cfg": {**tables["input"], **tables["labels"]},
        "packages": stated.get("packages"),
    }
    parsed = parse(json.dumps(config).encode(), where)
    classes = {} if told["num_classes"] is None else {"num_classes": parsed.num_classes}
    return Statement(
        name=parsed.architecture,
        arguments={**classes, **parsed.model_args},
        input={**parsed.input, **parsed.labels},
    )


def _load(metadata: Mapping[str, str], key: str, where: str) -> Any:
    try:
        return json.loads(metadata.get(key, "null"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the metadata {key!r} is not JSON", where=where) from error


def weights_file(path: Path) -> Path:
    """The file that a path means: itself, or `model.safetensors` in it or beside it."""
    if path.suffix == ".safetensors":
        return path
    return (path if path.is_dir() else path.parent) / WEIGHTS


def arguments_of(model: nn.Module) -> dict[str, Any]:
    """The keywords of `create_model` that rebuild a model of the zoo, beside its name.

    Those for settings of images are left out: what is saved states the settings as its input.
    """
    record = record_of(model)
    if record is None:
        return {}
    forms = {name: getattr(record, name) for name in FORMS} if record.attention else {}
    forms["sites"] = record.placement or record.sites  # stages are named as one choice
    options = {key: value for key, value in record.options.items() if key not in SETTINGS}
    return {**options, **{name: value for name, value in forms.items() if value}}


def metadata_of(model: nn.Module) -> dict[str, str]:
    """What a file of the model's weights will say of itself.

    Raises:
        UsageError: the model is none of the zoo's.
        OptionError: an option is not plain data.
    """
    record = record_of(model)
    if record is None:
        raise UsageError(
            f"{type(model).__name__} was not built by zoo.create_model",
            remedy="safetensors.torch.save_file(model.state_dict(), FILE)",
        )
    return metadata(
        record.name, arguments_of(model), getattr(model, "num_classes", None),
        getattr(model, "pretrained_cfg", None) or {},
    )  # fmt: skip


def metadata(
    name: str, options: Mapping[str, Any], num_classes: int | None, settings: Mapping[str, Any]
) -> dict[str, str]:
    """What a file will say of itself. It is checked, so that it can be read back."""
    shown = {key: settings[key] for key in INPUT_KEYS if settings.get(key) is not None}
    labels = {key: settings[key] for key in LABEL_KEYS if settings.get(key)}
    if len(labels.get("label_names", ())) != num_classes:  # those of another classifier
        labels = {}
    try:
        told = {
            "format": "pt",
            "zoo": json.dumps({"name": name, "options": dict(options), **_packages(name, options)}),
            "zoo_version": __version__,
            "num_classes": json.dumps(num_classes),
            "input": json.dumps(shown),
            **({"labels": json.dumps(labels)} if labels else {}),
        }
        statement_of(told, f"model {name!r}")
    except (TypeError, ConfigError) as error:
        raise OptionError(f"the options of {name} are not plain data: {error}") from error
    return told


def _packages(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The packages of others that are needed to build the model, if there are any."""
    found = packages.of_model(name, options.get("attention", ""))
    return {"packages": found} if found else {}


def save_model(model: nn.Module, path: str | os.PathLike[str]) -> Path:
    """Write a model's weights together with what it is, so that every command can open the file
    again.

    `zoo.create_model(name, weights=path)` then gives the same model. Its classes, the options of
    the attention, its places and its form of insertion come from the file.

    Args:
        model: a model that `zoo.create_model` built.
        path: a `.safetensors` file. It is written as a whole or not at all.

    Raises:
        UsageError: the model is none of the zoo's, or the file cannot be written.
        OptionError: the model was built with options that are not plain data.
    """
    target = Path(path).expanduser()
    if target.suffix != ".safetensors":
        raise UsageError(f"{target} is not named *.safetensors", remedy=f"{target}.safetensors")
    try:
        write_atomically(target, to_bytes(model.state_dict(), metadata_of(model)))
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(target)) from error
    return target
