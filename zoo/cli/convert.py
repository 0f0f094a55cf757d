"""`zoo convert`: turn an authors' checkpoint into a file of the zoo."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from zoo.cli import complete
from zoo.cli.output import echo_json, json_option
from zoo.errors import ConfigError, UsageError


@click.command()
@click.argument("name", metavar="FORMAT", shell_complete=complete.names)
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path), metavar="OUT.safetensors")
@click.option("--config", "pairs", multiple=True, metavar="KEY=VALUE", help="An option of it.")
@click.option("--config-file", type=click.Path(path_type=Path), help="Options as a JSON object.")
@json_option
def command(
    name: str, checkpoint: Path, out: Path, pairs: tuple[str, ...], config_file: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Convert a CHECKPOINT that the authors of FORMAT, a model or an attention, released.

    A pickle of PyTorch, of which nothing is run, or safetensors; checkpoints of timm's training
    too. Every key is used, or is a counter or constant; else nothing is written.
    zoo.create_model(FORMAT, weights=OUT) loads OUT.
    """
    from zoo.reference.convert import convert

    done = convert(name, checkpoint, out, _file(config_file) | dict(map(_pair, pairs)))
    if as_json:
        echo_json(asdict(done))
        return
    click.echo(f"{done.path}\n  {done.name}, {done.parameters} parameters")
    if done.instead_of:
        click.echo(
            f"  from {done.wrapper[-1]}, the moving average, which training measured; "
            f"{done.instead_of} beside it is left out"
        )
    click.echo(f"  {done.used} keys used, {len(done.dropped)} counters and constants left out")


def _pair(text: str) -> tuple[str, Any]:  # the value is JSON, or else the text itself
    key, found, value = text.partition("=")
    if not found or not key.isidentifier():
        raise UsageError(f"--config {text!r} is not KEY=VALUE", remedy="--config depth=50")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, {"True": True, "False": False, "None": None}.get(value, value)


def _file(path: Path | None) -> dict[str, Any]:
    try:
        config = json.loads(path.read_bytes()) if path else {}
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"not readable as JSON: {str(error)[:120]}", where=str(path)) from error
    if isinstance(config, dict):
        return config
    raise ConfigError("not a JSON object", where=str(path))
