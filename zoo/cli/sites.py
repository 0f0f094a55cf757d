"""`zoo sites`: the places for attention in a model of the zoo, of timm, or of your own."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from typing import Any

import click

from zoo.cli import complete
from zoo.cli.output import echo_json, json_option
from zoo.errors import UsageError


@click.command()
@click.argument("name", shell_complete=complete.models)
@click.option("--size", type=(int, int), help="Rows and columns of the image.")
@click.option("--channels", type=click.IntRange(1), default=None, help="Of the image.")
@click.option("--cost", "costs", multiple=True, help="Say what this mechanism costs at each place.")
@click.option("--leaves", is_flag=True, help="List single layers too.")
@click.option("--blocks", is_flag=True, help="List the blocks of known families only.")
@json_option
def command(
    name: str,
    size: tuple[int, int] | None,
    channels: int | None,
    costs: tuple[str, ...],
    leaves: bool,
    blocks: bool,
    as_json: bool,
) -> None:
    """List where in NAME attention can go: what `zoo.add_attention(model, ..., at=[...])` takes.

    NAME is a model, or `module:factory`, a class or function of yours that is called without
    arguments and gives a torch.nn.Module. The current folder is searched for the module.
    """
    from zoo.hosts.sites import list_sites

    model = _model(name)
    sites = list_sites(model, _example(model, size, channels), costs=costs, leaves=leaves)
    rows = [asdict(site) for site in sites if site.block or not blocks]
    if as_json:
        echo_json(rows)
        return
    for line in _table(rows, costs):
        click.echo(line.rstrip())


def _model(name: str) -> Any:
    if is_own(name):
        return own_model(name)
    from zoo.build.create import create_model

    return create_model(name)


def is_own(name: str) -> bool:
    """Whether a name is `module:factory`, a user's own, rather than a repository or a path."""
    return ":" in name and not name.startswith("hf-hub:") and not os.path.exists(name)


def own_model(target: str) -> Any:
    """What a user's factory `module:factory` makes; its errors are said with its name."""
    from torch import nn

    from zoo.registry.targets import resolve

    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    made = resolve(target, "NAME")()
    if not isinstance(made, nn.Module):
        raise UsageError(f"{target} makes a {type(made).__name__}, not a torch.nn.Module")
    return made


def _example(model: Any, size: tuple[int, int] | None, channels: int | None) -> Any:
    """An image of what was asked for; None where nothing was and the model itself says."""
    import torch

    from zoo.hosts.reading.survey import known_example

    try:
        known = known_example(model)
    except UsageError:
        known = torch.empty(1, 3, 224, 224)
    if not isinstance(known, torch.Tensor):
        return known if size is None and channels is None else _resized(known, size, channels)
    return torch.empty(1, channels or known.shape[1], *(size or known.shape[-2:]))


def _resized(known: Any, size: tuple[int, int] | None, channels: int | None) -> Any:
    import torch
    from torch.utils._pytree import tree_map

    def image(t: torch.Tensor) -> torch.Tensor:
        return torch.empty(*t.shape[:-3], channels or t.shape[-3], *(size or t.shape[-2:]))

    return tree_map(image, known)


def _table(rows: list[dict[str, Any]], costs: tuple[str, ...]) -> list[str]:
    head = ["path", "module", "layout", "channels", "size", "stride", "block", *costs]
    cells = [head, *(_cells(row, costs) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells]


def _cells(row: dict[str, Any], costs: tuple[str, ...]) -> list[str]:
    size = f"{row['size'][0]}x{row['size'][1]}" if row["size"] else f"{row['positions']} tokens"
    stride = f"{row['stride']:g}" if row["stride"] else "-"
    counted = [row["costs"].get(name) for name in row["costs"]] if costs else []
    prices = [f"{c['parameters']:,} / {c['multiplications']:,}" if c else "-" for c in counted]
    return [
        row["path"] or "(the model)", row["module"], row["layout"], str(row["channels"]), size,
        stride, "yes" if row["block"] else "", *prices,
    ]  # fmt: skip
