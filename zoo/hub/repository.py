"""A model repository of the zoo or of timm: its config and its weights, all of one commit."""

from __future__ import annotations

from dataclasses import replace

from zoo.hub.commits import known_commit, parse_repository
from zoo.hub.pull import pull
from zoo.hub.request import Request
from zoo.registry.specs import WeightsSpec
from zoo.weights import config
from zoo.weights.config import HubConfig


def open_repository(
    name: str, *, offline: bool | None = None, deadline: float | None = None
) -> tuple[HubConfig, WeightsSpec]:
    """`hf-hub:org/name@revision` as its config and the spec of its weights.

    The revision is pinned to its commit, and that commit is in the spec: `fetch(spec)` takes the
    weights from the very commit that the config came from.

    Raises:
        ConfigError: the config is not one, or has values out of bounds.
        UsageError: `name` is not a repository's name. Else as `pull`.
    """
    repository, revision = parse_repository(name)
    request = Request(
        repository=repository,
        revision=revision,
        filename="config.json",
        max_size=config.SIZE_LIMIT,
    )
    with pull(request, offline=offline, deadline=deadline, progress=False) as file:
        file.handle.seek(0)
        parsed = config.parse(file.handle.read(config.SIZE_LIMIT + 1), str(request))
        commit = file.revision
    known = known_commit(repository, commit)
    largest = max((entry.size for entry in known.files.values()), default=0) if known else 0
    parsed = replace(parsed, largest_file=largest)
    spec = WeightsSpec(
        model=parsed.architecture.partition(".")[0],
        tag=parsed.architecture.partition(".")[2] or "hub",
        kind="published",
        repository=repository,
        revision=commit,
        num_classes=parsed.num_classes,
        input={**parsed.input, **parsed.labels},
        license=parsed.license,
    )
    return parsed, spec
