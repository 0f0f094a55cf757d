"""`zoo verify`: do the mechanisms compute what their authors' code computed?"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from zoo.cli import complete
from zoo.cli.output import echo_json, json_option

if TYPE_CHECKING:
    from zoo.reference import CaseResult


@click.command()
@click.argument("paths", nargs=-1, required=True, type=complete.PATH, metavar="PATH...")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@json_option
def command(paths: tuple[str, ...], device: str, as_json: bool) -> None:
    """Run reference cases: weights, inputs, outputs and gradients of the authors' own code.

    PATH is a case (*.safetensors), a models.json, or a folder of either. A case passes when every
    output agrees to 1e-5 * max(1, |output|max) and every gradient to 1e-4 of the same. Exit code
    1 if any case fails; cases of mechanisms that no plugin has are unsupported, counted apart.
    """
    from zoo.reference import verify

    results: list[CaseResult] = []
    for result in verify(paths, device=device):
        results.append(result)
        if not as_json:
            click.echo(_row(result))
    counts = Counter(result.status for result in results)
    summary = {key: counts[key] for key in ("passed", "failed", "unsupported")}
    if as_json:
        echo_json({"device": device, **summary, "cases": [_data(result) for result in results]})
    else:
        click.echo(", ".join(f"{count} {key}" for key, count in summary.items()))
    sys.exit(1 if summary["failed"] else 0)


def _row(result: CaseResult) -> str:
    errors = (result.max_abs_error, result.max_grad_error)
    shown = "  ".join(f"{'-' if error is None else f'{error:.1e}':>8}" for error in errors)
    return f"{result.status:<11}  {shown}  {result.file}  {result.reason}".rstrip()


def _data(result: CaseResult) -> dict[str, object]:
    """JSON has no NaN and no infinity: an error that is not a number is null."""
    data = asdict(result)
    for key in ("max_abs_error", "max_grad_error"):
        if data[key] is not None and not abs(data[key]) < float("inf"):
            data[key] = None
    return data
