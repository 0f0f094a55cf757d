"""Weights by the names that a user gives: a model, a tag, a repository, a file."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import WeightsNotFoundError
from zoo.hub.files import VerifiedFile, local_file
from zoo.hub.pull import pull
from zoo.hub.repository import open_repository
from zoo.hub.request import Request
from zoo.registry.specs import WeightsSpec


def weights_named(name: str) -> WeightsSpec | Path:
    """The weights that `create_model(name, pretrained=True)` would take."""
    from zoo.build.plan import make_plan
    from zoo.registry import default_registry

    plan = make_plan(name, default_registry(), pretrained=True)
    if plan.weights is None:
        raise WeightsNotFoundError(f"{name} has no weights", remedy=f"zoo info {name}")
    return plan.weights


def fetch_named(
    name: str, *, offline: bool | None = None, deadline: float | None = None
) -> dict[str, str]:
    """Fetch what `name` stands for, and say in a record where it is and what vouches for it.

    A repository's config is fetched too, so that the model can be built offline afterwards.
    """
    if name.startswith("hf-hub:"):
        _, weights = open_repository(name, offline=offline, deadline=deadline)
    else:
        weights = weights_named(name)
    with _open(weights, offline, deadline) as file:
        return {"name": name, **file.record(), "path": str(file.path)}


def _open(
    weights: WeightsSpec | Path, offline: bool | None, deadline: float | None
) -> VerifiedFile:
    from zoo.hub import fetch

    if isinstance(weights, Path):
        return local_file(weights)
    return fetch(weights, offline=offline, deadline=deadline)


def published_manifest(name: str, model: str = "", tag: str = "") -> WeightsSpec:
    """A manifest for a published repository: its commit and digest pinned, its config read.

    The weights are fetched, and their header inspected, before anything is stated of them.

    Args:
        name: `hf-hub:org/name@revision`; the prefix and the revision may be left out.
        model, tag: what the manifest is for; default as the repository's config says.
    """
    from dataclasses import replace

    from zoo.weights.safetensors_file import inspect

    config, spec = open_repository(name)
    request = Request(repository=spec.repository, revision=spec.revision, filename=spec.filename)
    with pull(request) as file:
        inspect(file)
        pinned = replace(spec, sha256=file.sha256)
    options = {k: v for k, v in config.model_args.items() if v is not None}
    return replace(pinned, model=model or spec.model, tag=tag or spec.tag, options=options)
