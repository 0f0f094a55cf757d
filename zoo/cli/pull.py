"""`zoo pull`: fetch and verify weights before they are used."""

from __future__ import annotations

from functools import partial

import click

from zoo.cli import complete
from zoo.cli.output import echo_json, json_option
from zoo.errors import WeightsNotFoundError


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete.models)
@click.option("--offline", is_flag=True, help="Only check what is cached.")
@click.option("--deadline", type=click.FloatRange(min=0, min_open=True), help="Seconds for each.")
@json_option
def command(names: tuple[str, ...], offline: bool, deadline: float | None, as_json: bool) -> None:
    """Fetch and verify the weights of each NAME: MODEL[.TAG], or hf-hub:ORG/NAME[@REVISION].

    What is fetched lies in the Hub's cache (HF_HOME), checked against the digest that the manifest
    pins, or else the Hub's own for that commit. A copy that is there and verified costs nothing.
    """
    rows = [_fetch(name, offline or None, deadline) for name in names]
    if as_json:
        echo_json(rows)
        return
    for row in rows:
        click.echo(f"{row['path']}\n  sha256 {row['sha256']} (checked against: {_said(row)})")
        if row.get("revision"):
            click.echo(f"  commit {row['revision']} of {row['repository']}")


def _fetch(name: str, offline: bool | None, deadline: float | None) -> dict[str, str]:
    """Fetch what `name` stands for, and say where it is and what vouches for it.

    A repository's config is fetched too, so that the model can be built offline afterwards.
    """
    from pathlib import Path

    from zoo import hub
    from zoo.build.plan import make_plan
    from zoo.registry import default_registry

    if name.startswith("hf-hub:"):
        _, weights = hub.open_repository(name, offline=offline, deadline=deadline)
    else:
        weights = make_plan(name, default_registry(), pretrained=True).weights
    if weights is None:
        raise WeightsNotFoundError(f"{name} has no weights", remedy=f"zoo info {name}")
    local = isinstance(weights, Path)
    fetch = partial(hub.fetch, offline=offline, deadline=deadline)
    with hub.local_file(weights) if local else fetch(weights) as file:
        return {"name": name, **file.record(), "path": str(file.path)}


def _said(row: dict[str, str]) -> str:
    return {
        "manifest": "the manifest",
        "hub": "the Hub's digest for that commit",
        "cache": "the digest recorded when it was fetched",
        "computed": "nothing, it is your file",
        "unverified": "nothing",
    }[row["digest_from"]]
