"""`zoo train`: train by a recipe, or fine-tune a model on images."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import complete
from zoo.cli.output import echo_json, json_option
from zoo.cli.train_target import asked, hinted
from zoo.errors import DataError

if TYPE_CHECKING:
    from zoo.recipes import StagedRecipe
    from zoo.training.loop import Trainer
    from zoo.training.stages import Reached

INTERRUPTED = 130  # the exit code of a program that Ctrl-C ended


@click.command()
@click.argument("target", required=False, metavar="[RECIPE|MODEL]",
                shell_complete=complete.trainable)  # fmt: skip
@click.option("--data", metavar="NAME|DIR", shell_complete=complete.datasets,
              help="For a MODEL: a folder of images, or a data set. With --recipe or a recipe's "
              "file: the folder with its files; default $ZOO_DATA.")  # fmt: skip
@click.option("--recipe", "named", metavar="NAME|FILE", shell_complete=complete.recipes,
              help="Train by this recipe, with or without --data.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Folder of the run; default runs/<model>_<data> or runs/<recipe>.")  # fmt: skip
@click.option("--pretrained", is_flag=True, help="Start from the model's published weights.")
@click.option("--weights", type=complete.PATH, metavar="TAG|FILE|hf-hub:REPO",
              help="Start from these weights.")  # fmt: skip
@click.option("--backbone-weights", type=complete.PATH, metavar="FILE",
              help="Start from weights of the plain backbone; the attention is new.")  # fmt: skip
@click.option("--epochs", type=click.IntRange(1), help="Default 10.")
@click.option("--batch-size", type=click.IntRange(1), help="Default 32.")
@click.option("--lr", type=float, help="The highest learning rate; default 5e-4.")
@click.option("--size", type=click.IntRange(1), help="Side of the images; default the model's.")
@click.option("--train", "part", type=click.Choice(["all", "attention", "head"]),
              help="Which parameters are trained; default all.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), help="Default 0.")
@click.option("--amp", is_flag=True, help="Train in bfloat16 where autocast allows it.")
@click.option("--device", help="cpu, cuda, cuda:1, ...; default CUDA if there, cpu for a RECIPE.")
@click.option("--workers", type=click.IntRange(0), help="Decoding processes; default one a core.")
@click.option("--limit-steps", type=click.IntRange(min=1), help="Stop, resumable, after N steps.")
@click.option("--tensorboard", is_flag=True, help="Write the curve for TensorBoard too.")
@click.option("--save-recipe", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Only write the recipe of this call, with which more can be set.")  # fmt: skip
@json_option
def command(
    target: str | None, data: str | None, named: str | None, out: Path | None, device: str | None,
    workers: int | None, limit_steps: int | None, tensorboard: bool, save_recipe: Path | None,
    as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Train by a RECIPE, or fine-tune a MODEL on a folder of images.

    \b
        zoo train ram_mnist
        zoo train --recipe ram_mnist --data mnist/
        zoo train se_resnet50 --data flowers/ --pretrained

    With --data, a name is a MODEL's. Without, it is that of a RECIPE (zoo list --recipes), or of
    the weights that a recipe makes. What ends in .toml or is a file is a recipe, and so is what
    --recipe names.

    A MODEL's folder has train/ and val/ with a folder for each class; or only the class folders, of
    which a fifth is then kept for validation.

    The run's folder receives recipe.toml, checkpoint.pt, curve.csv and model.safetensors, and is a
    model for zoo eval, predict, viz and push. Of a recipe's stages the last is there, and those
    before are in stage1, stage2, ... Ctrl-C saves and stops. Called again, an interrupted run goes
    on from its checkpoint and ends as if it had never stopped. On several devices, each with its
    part of every batch:

        torchrun --nproc-per-node N -m zoo train RECIPE --device cuda
    """
    # Threads that wait must sleep, since the decoders need the cores. Read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from zoo.runtime.files import write_atomically

    recipe, place = asked(target, named, data, given)
    if save_recipe:
        write_atomically(save_recipe, recipe.text)
        click.echo(str(save_recipe))
        return
    if not recipe.where:  # a model is fine-tuned
        out = out or Path("runs") / f"{recipe.name}_{Path(str(data)).stem}".replace(":", "_")
        device = device or _device()
    out = out or Path("runs") / recipe.name
    settings = {"data": place, "device": device or "cpu", "workers": workers}
    try:
        reached = _train(recipe, out, settings, limit_steps, tensorboard)
    except DataError as error:
        raise (error if named else hinted(error, str(target), data)) from None
    except KeyboardInterrupt as stop:
        if not stop.args or not _is_main():
            raise
        click.echo(f"{stop}; the same call goes on from there", err=True)
        sys.exit(INTERRUPTED)
    if _is_main():
        _show(reached, recipe, as_json)


def _train(
    recipe: StagedRecipe, out: Path, settings: dict[str, Any], limit: int | None, tensorboard: bool
) -> Reached:
    from zoo.training.board import reporting
    from zoo.training.stages import train_stages

    def report(stage: int, folder: Path) -> Any:
        if len(recipe.stages) > 1 and _is_main():
            click.echo(f"stage {stage} of {len(recipe.stages)}: {folder}", err=True)
        return reporting(folder if tensorboard else None, quiet=not _is_main())

    return train_stages(recipe, out, **settings, limit_steps=limit, reporting=report)


def _is_main() -> bool:
    from zoo.runtime.processes import is_main

    return is_main()


def _device() -> str:
    from zoo.runtime.device import find_device

    return str(find_device())


def _show(reached: Reached, recipe: StagedRecipe, as_json: bool) -> None:
    from zoo.training.run_folder import WEIGHTS

    trainer, weights = reached.trainer, reached.folder / WEIGHTS
    result: dict[str, Any] = {
        "model": trainer.recipe.model,
        "recipe": recipe.where,
        "stage": reached.stage,
        "stages": reached.stages,
        "weights": str(weights) if weights.exists() else None,
        "step": trainer.step,
        "steps": trainer.total_steps,
        "seconds": round(trainer.seconds, 1),
        "curve": trainer.curve[-1:],
        "best": trainer.best,
    }
    if as_json:
        echo_json(result)
        return
    stage = f"stage {reached.stage} of {reached.stages}, " if reached.stages > 1 else ""
    click.echo(f"{stage}step {trainer.step} of {trainer.total_steps}: {_weights(trainer, weights)}")


def _weights(trainer: Trainer, file: Path) -> str:
    """Where the weights are, and how good they are if they were chosen."""
    if not file.exists():
        return f"{file.parent}, which has no weights before an epoch is measured"
    if trainer.recipe.keep != "best" or "val_error" not in trainer.best:
        return str(file)
    return f"{file} (val_error {trainer.best['val_error']:.4g} in epoch {trainer.best['epoch']:g})"
