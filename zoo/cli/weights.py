"""`zoo weights`: manifests of weights."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from zoo.cli.output import echo_json, json_option


@click.group(name="weights")
def command() -> None:
    """List, add or check manifests of weights."""


@command.command(name="list")
@click.argument("pattern", default="*")
@json_option
def list_(pattern: str, as_json: bool) -> None:
    """List weights whose MODEL.TAG matches PATTERN."""
    from dataclasses import asdict

    from zoo.hub.manifest_tools import matching

    found = matching(pattern)
    if as_json:
        echo_json([asdict(spec) for spec in found])
        return
    width = max((len(f"{w.model}.{w.tag}") for w in found), default=0)
    for w in found:
        click.echo(f"{w.model + '.' + w.tag:<{width}}  {w.kind:<11}  {w.repository or w.path}")


@command.command()
@click.argument("repository")
@click.option("--model", default="", help="The zoo's name; default the config's architecture.")
@click.option("--tag", default="", help="Default: the config's tag, or hub.")
@click.option("--out", type=click.Path(path_type=Path), default=".", help="Folder to write into.")
@click.option("--force", is_flag=True, help="Replace a manifest that is there.")
def add(repository: str, model: str, tag: str, out: Path, force: bool) -> None:
    """Write a manifest from a published REPOSITORY (org/name[@revision]), pinned to its commit."""
    from zoo.hub import manifest_tools

    click.echo(manifest_tools.add(repository, model, tag, out, force=force))


@command.command()
@click.argument("pattern", default="*")
@json_option
def check(pattern: str, as_json: bool) -> None:
    """Ask the Hub whether it still holds what manifests state; exit code 1 if not."""
    from zoo.hub import manifest_tools

    rows = [manifest_tools.check(spec) for spec in manifest_tools.matching(pattern)]
    if as_json:
        echo_json(rows)
    for row in () if as_json else rows:
        click.echo(f"{row['status']:<8}  {row['name']}  {row['detail']}".rstrip())
    sys.exit(1 if any(row["status"] == "failed" for row in rows) else 0)
