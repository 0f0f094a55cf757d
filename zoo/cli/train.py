"""`zoo train`: train the weights of a recipe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from zoo.cli.output import echo_json, json_option

INTERRUPTED = 130  # the exit code of a program that Ctrl-C ended


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Folder of the run; default runs/<name of the recipe>.")  # fmt: skip
@click.option("--data", type=click.Path(path_type=Path),
              help="Folder with the training files; default $ZOO_DATA.")  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ...")
@click.option("--limit-steps", type=click.IntRange(min=1), help="Stop, resumable, after N steps.")
@json_option
def command(
    recipe: Path,
    out: Path | None,
    data: Path | None,
    device: str,
    limit_steps: int | None,
    as_json: bool,
) -> None:
    """Train the model of a RECIPE (a TOML file).

    The run's folder receives recipe.toml, checkpoint.pt, curve.csv and model.safetensors: what
    `zoo push` publishes. Ctrl-C saves and stops. Called again, an interrupted run goes on from its
    checkpoint and ends as if it had never stopped. On several devices, each with its part of every
    batch:

        torchrun --nproc-per-node N -m zoo train RECIPE --device cuda
    """
    from zoo.runtime.files import write_atomically
    from zoo.runtime.processes import is_main
    from zoo.training.progress import Progress
    from zoo.training.recipe import read_recipe
    from zoo.training.run import WEIGHTS, train
    from zoo.training.run_folder import RECIPE

    settings, text = read_recipe(recipe), recipe.read_bytes()
    out = out or Path("runs") / recipe.stem
    try:
        with Progress(quiet=not is_main()) as progress:
            trainer = train(
                settings, out, data=data, device=device, limit_steps=limit_steps, report=progress
            )
    except KeyboardInterrupt as stop:
        if not stop.args or not is_main():
            raise
        write_atomically(out / RECIPE, text)
        click.echo(f"{stop}; the same call goes on from there", err=True)
        sys.exit(INTERRUPTED)
    if not is_main():
        return
    write_atomically(out / RECIPE, text)
    result: dict[str, Any] = {
        "model": settings.model,
        "recipe": str(recipe),
        "weights": str(out / WEIGHTS),
        "step": trainer.step,
        "steps": trainer.total_steps,
        "seconds": round(trainer.seconds, 1),
        "curve": trainer.curve[-1:],
    }
    if as_json:
        echo_json(result)
    else:
        click.echo(f"step {trainer.step} of {trainer.total_steps}: {out / WEIGHTS}")
