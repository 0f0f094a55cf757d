"""Writing what was added to a model: safetensors, and a statement of what goes where.

The metadata `zoo_attention` is a JSON object: for each place the path, the mechanism, its options
and its form, and of the host the class and two digests. One is of the names and shapes of its
tensors, which must be the same where the file is loaded; the other is of their values, which should
be.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from zoo.adapters.fingerprint import architecture, digest
from zoo.adapters.statement import METADATA, Stated, Statement, read, written
from zoo.errors import OptionError, UsageError
from zoo.hosts import swap
from zoo.hosts.forms import Record, Signal
from zoo.registry import packages
from zoo.runtime.files import write_atomically
from zoo.version import __version__
from zoo.weights.safetensors_file import refuse_sharded, to_bytes


def save_attention(model: nn.Module, path: str | os.PathLike[str]) -> Path:
    """Write what `add_attention` added to a model, and nothing of the model itself.

    Args:
        model: has attention of `add_attention` or `load_attention`.
        path: a `.safetensors` file, written whole or not at all.

    Raises:
        UsageError: nothing was added, the model is sharded, or the file cannot be written.
        OptionError: an option of a mechanism is not plain data.
    """
    target = Path(path).expanduser()
    if target.suffix != ".safetensors":
        raise UsageError(f"{target} is not named *.safetensors", remedy=f"{target}.safetensors")
    found = swap.added(model)
    if not found:
        raise UsageError(
            f"no attention was added to this {type(model).__name__}",
            remedy='zoo.add_attention(model, "cbam", at=[...], example=x)',
        )
    refuse_sharded(model.state_dict())
    told = _metadata(model, found)
    try:
        write_atomically(target, to_bytes(_tensors(found), told))
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(target)) from error
    return target


def _tensors(found: list[tuple[str, nn.Module, Record]]) -> dict[str, Tensor]:
    return {
        f"{where}.{key}": tensor
        for where, form, _ in found
        for key, tensor in form.state_dict().items()
    }


def _metadata(model: nn.Module, found: list[tuple[str, nn.Module, Record]]) -> dict[str, str]:
    """What the file says of itself, of which it is certain that it can be read back."""
    statement = Statement(
        host=type(model).__name__, architecture=architecture(model), weights=digest(model),
        added=tuple(Stated(path=where, **_fields(found, form)) for where, form, _ in found),
        packages=tuple(packages.of_attentions(record.mechanism for *_, record in found)),
    )  # fmt: skip
    try:
        told = {"format": "pt", METADATA: written(statement), "zoo_version": __version__}
    except TypeError as error:
        raise OptionError(f"the options are not plain data: {error}") from error
    read(told, "the options")
    return told


def _fields(found: list[tuple[str, nn.Module, Record]], form: nn.Module) -> dict[str, Any]:
    """The record of a form, with the path that its gate has in this model, be it a larger one."""
    told = asdict(vars(form)[swap.RECORD])
    if isinstance(form, Signal):
        told["partner"] = _gate_of(found, form)
    return told | told.pop("layout")


def _gate_of(found: list[tuple[str, nn.Module, Record]], signal: Signal) -> str:
    for path, form, _ in found:
        if form is signal.gate[0]:
            return path
    raise UsageError(
        "a part of the model hands a signal to a gate that is in another part",
        remedy="zoo.save_attention of the whole model",
    )
