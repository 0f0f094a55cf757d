"""A file of what was added to a model: some kilobytes that go into the same model elsewhere.

It is safetensors. Its metadata `zoo_attention` is a JSON object: for each place the path, the
mechanism, its options and its form, and of the host the class and two digests. One is of the names
and shapes of its tensors, which must be the same where the file is loaded; the other is of their
values, which should be.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from zoo.build.attention import build_attention
from zoo.errors import (
    ConfigError,
    IncompatibleBackboneError,
    OptionError,
    UsageError,
    WeightsMismatchError,
    WeightsWarning,
    ZooError,
)
from zoo.hosts import swap
from zoo.hosts.add import put_all
from zoo.hosts.check import check_host, check_module
from zoo.hosts.fingerprint import architecture, digest
from zoo.hosts.forms import (
    BesideConvolution,
    GatedInput,
    InsteadOfConvolution,
    Record,
    Signal,
    at_a_place,
    on_output,
)
from zoo.hosts.planning import Planned
from zoo.hosts.softmax import BesideSoftmax, InsteadOfSoftmax
from zoo.hosts.statement import ATTENTION_FILE, METADATA, Stated, Statement, read, written
from zoo.registry import Registry, default_registry, names
from zoo.runtime.files import write_atomically
from zoo.version import __version__
from zoo.weights import safetensors_file
from zoo.weights.verified_file import VerifiedFile, local_file

HUB = "hf-hub:"


def save_attention(model: nn.Module, path: str | os.PathLike[str]) -> Path:
    """Write what `add_attention` added to a model, and nothing of the model itself.

    Args:
        model: has attention of `add_attention` or `load_attention`.
        path: a `.safetensors` file, written whole or not at all.

    Raises:
        UsageError: nothing was added, or the file cannot be written.
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
    tensors = {
        f"{where}.{key}": tensor.detach().cpu().clone().contiguous()
        for where, form, _ in found
        for key, tensor in form.state_dict().items()
    }
    statement = Statement(
        host=type(model).__name__, architecture=architecture(model), weights=digest(model),
        added=tuple(Stated(path=where, **_fields(record)) for where, _, record in found),
    )  # fmt: skip
    try:
        told = {"format": "pt", METADATA: written(statement), "zoo_version": __version__}
    except TypeError as error:
        raise OptionError(f"the options are not plain data: {error}") from error
    read(told, "the options")  # what is written can be read back
    try:
        write_atomically(target, save(tensors, told))
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(target)) from error
    return target


def load_attention(
    model: nn.Module,
    path: str | os.PathLike[str],
    *,
    strict: bool = False,
    registry: Registry | None = None,
) -> nn.Module:
    """Add the attention of a file of `save_attention` to a model like the one it was saved from.

    Either everything is added or, with an error, nothing.

    Args:
        model: a host of the same architecture, without attention at these places.
        path: a file, or `"hf-hub:org/name"` (with `@revision`), the repository of `zoo push`.
        strict: refuse a host whose weights are not those that the attention was trained with;
            otherwise that is a warning.

    Returns:
        The same model.

    Raises:
        WeightsNotFoundError: there is no such file. CorruptWeightsError, ConfigError: it is
        damaged, or no file of attention. IncompatibleBackboneError: the host has another
        architecture. WeightsMismatchError: the tensors are not those of this version's mechanisms,
        or, with `strict`, the host has other weights. UnknownNameError: of a mechanism.
        HubError, OfflineError: the repository cannot be had.
    """
    check_host(model)
    registry = registry or default_registry()
    with _opened(path) as file:
        header = safetensors_file.inspect(file)
        where = str(file.path)
        statement = read(header.metadata, where)
        _check_architecture(model, statement, where)
        same = digest(model) == statement.weights
        if not same and strict:
            raise WeightsMismatchError(_other_weights(statement), where=where)
        with torch.random.fork_rng(devices=[]):
            planned = _all_planned(model, statement.added, registry, where)
        tensors = safetensors_file.tensors(file, header, copied=header.tensors)
        _load(planned, tensors, where)
    put_all(model, planned)
    if not same:
        warnings.warn(f"{_other_weights(statement)} ({where})", WeightsWarning, stacklevel=2)
    return model


def _opened(path: str | os.PathLike[str]) -> VerifiedFile:
    """The file, from the disk or from the Hub, open and verified."""
    if not str(path).startswith(HUB):
        return local_file(path)
    from zoo.hub import Request, pull
    from zoo.hub.commits import parse_repository

    repository, revision = parse_repository(str(path))
    request = Request(repository=repository, revision=revision, filename=ATTENTION_FILE)
    return pull(request)


def _fields(record: Record) -> dict[str, Any]:
    told = asdict(record)
    return told | told.pop("layout")


def _check_architecture(model: nn.Module, statement: Statement, where: str) -> None:
    if architecture(model) != statement.architecture:
        raise IncompatibleBackboneError(
            f"the attention was added to a {statement.host} whose tensors have other names or "
            f"shapes than those of this {type(model).__name__}",
            where=where,
            remedy="the same model, built with the same options (classes, size, ...)",
        )


def _all_planned(
    model: nn.Module, added: Sequence[Stated], registry: Registry, where: str
) -> list[Planned]:
    """Every form of the file; those that hand a signal to a gate come after all gates."""
    planned = [_planned(model, each, registry, where) for each in added if each.joining != "signal"]
    gates = {each.at: each.form for each in planned if isinstance(each.form, GatedInput)}
    for each in added:
        if each.joining == "signal":
            planned.append(_signal(model, each, gates, where))
    return planned


def _signal(model: nn.Module, each: Stated, gates: Mapping[str, GatedInput], where: str) -> Planned:
    path, name = each.place()
    if each.partner not in gates:
        raise ConfigError(
            f"the file has no gate {each.partner!r} that looks at {path}",
            where=f"{where}: {each.path}",
        )
    try:
        check_module(model, path)
    except AttributeError as error:
        raise IncompatibleBackboneError(
            f"the host has no such place: {error}", where=f"{where}: {each.path}"
        ) from error
    return Planned(path=path, name=name, form=Signal(gates[each.partner]), record=each.record())


def _planned(model: nn.Module, each: Stated, registry: Registry, where: str) -> Planned:
    """The form that a row of the file describes, built and not yet in the host."""
    record = each.record()
    place, name = each.place()
    at = f"{where}: {each.path}"
    try:
        owner = model.get_submodule(each.owner())
    except AttributeError as error:
        raise IncompatibleBackboneError(f"the host has no such place: {error}", where=at) from error
    if record.joining in ("set", "replace"):
        stood = getattr(owner, name, None)
    else:
        stood = model.get_submodule(place)
    if hasattr(owner, name) and record.joining not in ("set", "replace"):
        raise UsageError(
            f"{place or 'the model'} has {name!r} already",
            where=at,
            remedy="zoo.remove_attention(model)",
        )
    if stood is not None and swap.RECORD in vars(stood):
        raise UsageError(
            f"{place} has an attention already", where=at, remedy="zoo.remove_attention(model)"
        )
    if record.joining != "set":
        check_module(model, place)
    spec = names.attention(record.mechanism, registry)
    try:
        attention = build_attention(spec, registry, record.channels, record.options)
    except ZooError as error:
        raise WeightsMismatchError(
            f"{record.mechanism} of this version cannot be built as the file says: {error.what}",
            where=at,
            remedy="the version of the zoo that wrote the file",
        ) from error
    form = _form(record, attention, stood)
    nearest = (p for m in (owner if stood is None else stood, model) for p in m.parameters())
    like = next((p for p in nearest if p.is_floating_point()), None)
    if like is not None:
        form.to(device=like.device, dtype=like.dtype)
    form.train(owner.training)
    return Planned(path=place, name=name, form=form, record=record)


def _form(record: Record, attention: nn.Module, stood: nn.Module | None) -> nn.Module:
    if record.softmax:
        assert stood is not None
        made = InsteadOfSoftmax if record.joining == "replace" else BesideSoftmax
        return made(attention, stood)
    if record.joining == "replace":
        return InsteadOfConvolution(attention)
    if record.joining == "beside":
        return BesideConvolution(attention)
    if record.joining == "before":
        return GatedInput(attention, alpha=record.form == "residual")
    if record.joining == "set":
        base = None if type(stood) is nn.Identity else stood
        return at_a_place(record, attention, base)
    return on_output(record, attention)


def _load(planned: list[Planned], tensors: Mapping[str, Tensor], where: str) -> None:
    """Give each form its tensors: all that it has, and no others."""
    wanted = {f"{p.at}.{key}": t for p in planned for key, t in p.form.state_dict().items()}
    wrong = [
        key
        for key in sorted(wanted.keys() | tensors.keys())
        if key not in wanted or key not in tensors or wanted[key].shape != tensors[key].shape
    ]
    if wrong:
        raise WeightsMismatchError(
            f"{len(wrong)} tensors are not those of this version's mechanisms: "
            f"{', '.join(wrong[:3])}{', ...' if len(wrong) > 3 else ''}",
            where=where,
            remedy="the version of the zoo that wrote the file",
        )
    for each in planned:
        own = {key: tensors[f"{each.at}.{key}"] for key in each.form.state_dict()}
        each.form.load_state_dict(own)


def _other_weights(statement: Statement) -> str:
    return (
        f"the {statement.host} has other weights than the one that the attention was saved from, "
        "so that it may compute something else"
    )
