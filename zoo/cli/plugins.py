"""`zoo plugins`: one row for each plugin, with what is wrong with it."""

from __future__ import annotations

import click

from zoo.cli import plugin_commands
from zoo.cli.output import echo_json, json_option
from zoo.registry import default_registry
from zoo.registry.plugins import Plugin


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Show plugins, where they come from, and what is wrong with them.

    A plugin is code and runs as you. ZOO_PLUGINS=a,b limits the installed ones to those names;
    ZOO_STRICT_PLUGINS=1 makes any problem an error.
    """
    plugin_commands()
    plugins = default_registry().plugins
    if as_json:
        echo_json([_row(plugin) for plugin in plugins])
        return
    width = max(len(plugin.name) for plugin in plugins)
    origin = max(len(plugin.origin) for plugin in plugins)
    for plugin in plugins:
        reason = "; ".join(plugin.problems)
        row = f"{plugin.name:<{width}}  {plugin.origin:<{origin}}  {plugin.status:<8}  {reason}"
        click.echo(row.rstrip())


def _row(plugin: Plugin) -> dict[str, object]:
    return {
        "name": plugin.name,
        "origin": plugin.origin,
        "target": plugin.target,
        "status": plugin.status,
        "problems": plugin.problems,
    }
