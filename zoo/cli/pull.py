"""`zoo pull`: weights, fetched and verified ahead of their use."""

from __future__ import annotations

import click

from zoo.cli import complete
from zoo.cli.output import echo_json, json_option


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
    from zoo.hub.names import fetch_named

    rows = [fetch_named(name, offline=offline or None, deadline=deadline) for name in names]
    if as_json:
        echo_json(rows)
        return
    for row in rows:
        click.echo(f"{row['path']}\n  sha256 {row['sha256']} (checked against: {_said(row)})")
        if row.get("revision"):
            click.echo(f"  commit {row['revision']} of {row['repository']}")


def _said(row: dict[str, str]) -> str:
    return {
        "manifest": "the manifest",
        "hub": "the Hub's digest for that commit",
        "cache": "the digest recorded when it was fetched",
        "computed": "nothing, it is your file",
        "unverified": "nothing",
    }[row["digest_from"]]
