"""`zoo cache`: what of the Hub is on this machine, and whether it is intact."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from zoo.cli.output import echo_json, json_option

if TYPE_CHECKING:
    from zoo.hub.inventory import CachedFile


@click.group(name="cache")
def command() -> None:
    """List, verify or prune what is cached of the Hub (in HF_HOME)."""


@command.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """List cached files of model repositories, by commit."""
    from zoo.hub.inventory import cached_files

    _show(cached_files(), as_json)


@command.command()
@json_option
def verify(as_json: bool) -> None:
    """Hash every cached file anew; exit code 1 if one is corrupt, missing or unreadable."""
    from zoo.hub.inventory import cached_files

    statuses = _show(cached_files(verify=True), as_json)
    sys.exit(1 if statuses & {"corrupt", "missing", "unreadable"} else 0)


@command.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def prune(dry_run: bool) -> None:
    """Remove corrupt files, abandoned downloads and records; what verifies is kept."""
    from zoo.hub.inventory import prune as prune_cache

    removed = prune_cache(dry_run)
    click.echo("\n".join(map(str, removed)) if removed else "nothing to remove")


def _show(files: Iterable[CachedFile], as_json: bool) -> set[str]:
    rows = list(files)
    if as_json:
        echo_json([asdict(row) for row in rows])
    for row in () if as_json else rows:
        where = f"{row.repository}@{row.revision[:12]}: {row.filename}"
        click.echo(f"{row.status:<12}  {row.size / 1e6:>9.1f} MB  {where}")
    return {row.status for row in rows}
