"""`zoo train`: fine-tune a model on images, or train the weights of a recipe."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from zoo.cli import complete
from zoo.cli.output import echo_json, json_option
from zoo.errors import UsageError

INTERRUPTED = 130  # the exit code of a program that Ctrl-C ended


@click.command()
@click.argument("target", metavar="MODEL|RECIPE", shell_complete=complete.models)
@click.option("--data", metavar="NAME|DIR", shell_complete=complete.datasets,
              help="For a MODEL: a folder of images, or a data set. For a RECIPE: the folder with "
              "its files; default $ZOO_DATA.")  # fmt: skip
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
    target: str, data: str | None, out: Path | None, device: str | None, workers: int | None,
    limit_steps: int | None, tensorboard: bool, save_recipe: Path | None, as_json: bool,
    **given: Any,
) -> None:  # fmt: skip
    """Fine-tune a MODEL on a folder of images, or train what a RECIPE (a TOML file) says.

        zoo train se_resnet50 --data flowers/ --pretrained

    The folder has train/ and val/ with a folder for each class; or only the class folders, of which
    a fifth is then kept for validation.

    The run's folder receives recipe.toml, checkpoint.pt, curve.csv and model.safetensors, and is a
    model for zoo eval, predict, viz and push. Ctrl-C saves and stops. Called again, an interrupted
    run goes on from its checkpoint and ends as if it had never stopped. On several devices, each
    with its part of every batch:

        torchrun --nproc-per-node N -m zoo train RECIPE --device cuda
    """
    # Threads that wait must sleep, since the decoders need the cores. Read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from zoo.runtime.files import write_atomically
    from zoo.runtime.processes import is_main
    from zoo.training.board import reporting
    from zoo.training.run import train
    from zoo.training.toml_text import to_toml

    recipe, text, place = _recipe(target, data, given)
    if save_recipe:
        write_atomically(save_recipe, text or to_toml(recipe).encode())
        click.echo(str(save_recipe))
        return
    out = out or _folder(target, recipe.data.name)
    try:
        with reporting(out if tensorboard else None, quiet=not is_main()) as report:
            trainer = train(
                recipe, out, data=place, device=device or _device(text), workers=workers,
                limit_steps=limit_steps, report=report, text=text,
            )  # fmt: skip
    except KeyboardInterrupt as stop:
        if not stop.args or not is_main():
            raise
        click.echo(f"{stop}; the same call goes on from there", err=True)
        sys.exit(INTERRUPTED)
    if is_main():
        _show(trainer, target, out, as_json)


def _is_recipe(target: str) -> bool:
    return target.endswith(".toml") or Path(target).is_file()


def _recipe(
    target: str, data: str | None, given: dict[str, Any]
) -> tuple[Any, bytes | None, Path | None]:
    """The recipe, its text if it is a file, and the folder of the data if it is one."""
    from zoo.training.finetune import finetune_recipe
    from zoo.training.recipe import read_recipe

    chosen = {key: value for key, value in given.items() if value not in (None, False, "")}
    if _is_recipe(target):
        if chosen:
            name = "train" if "part" in chosen else next(iter(chosen)).replace("_", "-")
            raise UsageError(
                f"--{name} is for a MODEL; a recipe says it itself",
                where=target,
                remedy="write it into the recipe",
            )
        path = Path(target)
        return read_recipe(path), path.read_bytes(), Path(data) if data is not None else None
    if data is None:
        raise UsageError(
            f"on which images is {target} to be trained?",
            remedy=f"zoo train {target} --data DIR, a folder with a folder of images per class",
        )
    if "part" in chosen:
        chosen["train"] = chosen.pop("part")
    folder = Path(data).expanduser()
    return finetune_recipe(target, data, **chosen), None, folder if folder.exists() else None


def _folder(target: str, data: str) -> Path:
    """`runs/<recipe>`, or `runs/<model>_<data>`."""
    name = Path(target).stem if _is_recipe(target) else f"{Path(target).name}_{Path(data).stem}"
    return Path("runs") / name.replace(":", "_")


def _device(text: bytes | None) -> str:
    from zoo.runtime.device import find_device

    return "cpu" if text is not None else str(find_device())


def _show(trainer: Any, target: str, out: Path, as_json: bool) -> None:
    from zoo.training.run_folder import WEIGHTS

    result: dict[str, Any] = {
        "model": trainer.recipe.model,
        "recipe": target if _is_recipe(target) else "",
        "weights": str(out / WEIGHTS),
        "step": trainer.step,
        "steps": trainer.total_steps,
        "seconds": round(trainer.seconds, 1),
        "curve": trainer.curve[-1:],
        "best": trainer.best,
    }
    if as_json:
        echo_json(result)
        return
    best = trainer.best
    error = f" (val_error {best['val_error']:.4g} in epoch {best['epoch']:g})" if best else ""
    kept = error if trainer.recipe.keep == "best" else ""
    click.echo(f"step {trainer.step} of {trainer.total_steps}: {out / WEIGHTS}{kept}")
