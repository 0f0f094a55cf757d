"""Putting the attention of a file into a model like the one that it was saved from."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from zoo.adapters.fingerprint import architecture, digest
from zoo.adapters.rebuild import rebuilt
from zoo.adapters.statement import ATTENTION_FILE, Statement, read
from zoo.errors import IncompatibleBackboneError, WeightsMismatchError, WeightsWarning
from zoo.hosts.add import put_all
from zoo.hosts.check import check_host
from zoo.hosts.planning.planner import Planned
from zoo.registry import Registry, default_registry, names, packages
from zoo.weights import safetensors_file
from zoo.weights.verified_file import VerifiedFile, local_file

HUB = "hf-hub:"


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
        for each in statement.added:
            own = partial(names.attention, each.mechanism, registry)
            packages.known(own, statement.packages, where)
        _check_architecture(model, statement, where)
        same = digest(model) == statement.weights
        if not same and strict:
            raise WeightsMismatchError(_other_weights(statement), where=where)
        with torch.random.fork_rng(devices=[]):
            planned = rebuilt(model, statement.added, registry, where)
        tensors = safetensors_file.tensors(file, header, copied=header.tensors)
        _fill(planned, tensors, where)
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


def _check_architecture(model: nn.Module, statement: Statement, where: str) -> None:
    if architecture(model) != statement.architecture:
        raise IncompatibleBackboneError(
            f"the attention was added to a {statement.host} whose tensors have other names or "
            f"shapes than those of this {type(model).__name__}",
            where=where,
            remedy="the same model, built with the same options (classes, size, ...)",
        )


def _fill(planned: list[Planned], tensors: Mapping[str, Tensor], where: str) -> None:
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
