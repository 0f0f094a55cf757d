"""`zoo info`: what is known of a model or an attention, without building it."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli import complete
from zoo.cli.output import echo_json, json_option
from zoo.errors import UnknownNameError
from zoo.registry import catalogue, default_registry, names


@click.command()
@click.argument("name", shell_complete=complete.names)
@click.option("--measure", is_flag=True, help="Build it and count what it costs.")
@json_option
def command(name: str, measure: bool, as_json: bool) -> None:
    """Show what is known of NAME, a model or an attention mechanism.

    With its parameters and the multiplications of one forward pass: of the zoo's named models and
    mechanisms as recorded, of any other with --measure.
    """
    info = _info(name)
    if measure:
        info["cost"] = _measured(name, info)
    if as_json:
        echo_json(info)
    else:
        click.echo("\n".join(_lines(info)))
        if info["cost"] is None and measure:
            click.echo(f"{'cost':<15} none of one map: it takes something else, or more")
        elif info["cost"] is None and "weights" in info:
            click.echo(f"{'cost':<15} not recorded: zoo info {name} --measure")


def _measured(name: str, info: dict[str, Any]) -> dict[str, Any] | None:
    from zoo.build import costs

    if "weights" in info:
        return costs.model_cost(name)
    registry = default_registry()
    return costs.cost(names.attention(name, registry), registry)


def _info(name: str) -> dict[str, Any]:
    for known in (catalogue.attention_info, catalogue.model_info):
        try:
            return known(name)
        except UnknownNameError:
            continue
    raise names.unknown(name, default_registry())


def _lines(info: dict[str, Any], indent: str = "") -> list[str]:
    lines: list[str] = []
    for key, value in info.items():
        if value in (None, "", (), [], {}):
            continue
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", *_lines(value, indent + "  ")]
        elif isinstance(value, list) and isinstance(value[0], dict):
            lines.append(f"{indent}{key}:")
            for row in value:
                lines += ["", *_lines(row, indent + "  ")]
        else:
            lines.append(f"{indent}{key:<15} {_text(value)}")
    return lines


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and value > 9999 else str(value)
