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
@click.option("--measure", is_flag=True, help="Build the model and count what it costs.")
@json_option
def command(name: str, measure: bool, as_json: bool) -> None:
    """Show what is known of NAME, a model or an attention mechanism.

    With its parameters and the multiplications of one forward pass: of a named model or a mechanism
    as recorded, of any other with --measure.
    """
    info = _info(name)
    if measure and "weights" in info:
        from zoo.build.costs import model_cost

        info["cost"] = model_cost(name)
    if as_json:
        echo_json(info)
    else:
        click.echo("\n".join(_lines(info)))
        if "weights" in info and info["cost"] is None:
            click.echo(f"{'cost':<15} not recorded: zoo info {name} --measure")


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
