"""`zoo compare`: which attention helps a backbone on a data set, with paired runs."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import complete
from zoo.cli.output import echo_json, json_option
from zoo.cli.train_target import stated
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.compare.design import Comparison
    from zoo.compare.look import Look
    from zoo.compare.runner import Where

INTERRUPTED = 130  # the exit code of a program that Ctrl-C ended
OF_RECIPE = ("pretrained", "weights", "backbone_weights", "epochs", "batch_size", "lr", "size")


@click.command()
@click.option("--backbone", shell_complete=complete.models, help="The network without attention.")
@click.option("--attentions", required=True, metavar="A,B,...", help="What is compared with it.")
@click.option(
    "--data",
    metavar="NAME|DIR",
    shell_complete=complete.datasets,
    help="A folder of images, or a data set. With --recipe: where its files are.",
)
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True,
              help="How many pairs of runs each attention has.")  # fmt: skip
@click.option("--recipe", metavar="NAME|FILE", shell_complete=complete.recipes,
              help="Train by this recipe; its model is the backbone.")  # fmt: skip
@click.option("--pretrained", is_flag=True, help="Start from the backbone's published weights.")
@click.option("--backbone-weights", type=complete.PATH, metavar="FILE",
              help="Start from a file of the backbone's weights.")  # fmt: skip
@click.option("--epochs", type=click.IntRange(1), help="Default 10.")
@click.option("--batch-size", type=click.IntRange(1), help="Default 32.")
@click.option("--lr", type=float, help="The highest learning rate; default 5e-4.")
@click.option("--size", type=click.IntRange(1), help="Side of the images; default the model's.")
@click.option("--sites", metavar="PLACE,...", help="Where every attention goes: block, stage, "
              "between_stages, or paths; default where each belongs.")  # fmt: skip
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Of the mechanisms: reduction=4 for all that have it, or se.reduction=4.",
)
@click.option("--skip", is_flag=True, help="Leave out what does not go into the backbone.")
@click.option("--plan", "only_plan", is_flag=True,
              help="Only say what so many seeds can find, and how long it takes.")  # fmt: skip
@click.option("--sd", type=click.FloatRange(0, min_open=True), metavar="POINTS",
              help="For --plan: the standard deviation of a paired difference; default that of the "
              "runs that are finished.")  # fmt: skip
@click.option("--report", "only_report", is_flag=True,
              help="Only report on the runs that are finished.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Folder of the comparison; default runs/compare_<backbone>_<data>.")  # fmt: skip
@click.option("--device", "devices", multiple=True,
              help="cpu, cuda:0, ...; several for as many runs at a time. Default: every CUDA "
              "device, else the CPU.")  # fmt: skip
@click.option("--workers", type=click.IntRange(0), help="Decoding processes; default one a core.")
@json_option
def command(
    out: Path | None, devices: tuple[str, ...], skip: bool, only_plan: bool, sd: float | None,
    only_report: bool, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Compare a backbone with each of several attentions, on your data.

        zoo compare --backbone resnet18 --attentions se,eca,cbam --data flowers/ --pretrained

    The plain backbone and every attention are trained with the same recipe, from each of several
    seeds. With a seed, all start from the same weights of the backbone and see the same images in
    the same order. The images of the test split (else validation, else those held out) are measured
    once a run. The folder receives results.json, table.md, and the pictures forest and pareto.

    Ctrl-C saves and stops. Called again, it goes on. More attentions or more seeds may be asked for
    later, with the same folder. The recipe of a call can be had from `zoo train --save-recipe`.
    """
    # Threads that wait must sleep, since the decoders need the cores. Read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler that counts memory is silent
    from zoo.compare.folder import Folder
    from zoo.compare.look import look
    from zoo.compare.runner import Where

    comparison, place = _comparison(given)
    path = out or Path("runs") / _name(comparison)
    where = Where(folder=path, data=place, workers=given["workers"])
    comparison = Folder(path).grown(comparison)
    names = devices or _devices()
    seen = look(comparison, where, names[0])
    comparison = _fitting(comparison, seen, skip)
    if only_plan:
        _plan(comparison, where, seen, sd, len(names), as_json)
        return
    if not only_report:
        _run(comparison, where, names)
    _report(comparison, where, seen, names[0], as_json)


def _comparison(given: Mapping[str, Any]) -> tuple[Comparison, Path | None]:
    """What is asked for, and the folder of the data if it is one."""
    from zoo.compare.arms import arms
    from zoo.compare.design import Comparison
    from zoo.registry import default_registry

    attentions = [name.strip() for name in given["attentions"].split(",") if name.strip()]
    sites = [path.strip() for path in (given["sites"] or "").split(",") if path.strip()]
    options = dict(_option(text) for text in given["options"])
    chosen = arms(attentions, default_registry(), sites=sites, options=options)
    recipe, place = _recipe(given)
    return Comparison(recipe=recipe, arms=chosen, seeds=given["seeds"]), place


def _recipe(given: Mapping[str, Any]) -> tuple[Any, Path | None]:
    from zoo.recipes import finetune_recipe, recipe_of

    data = Path(given["data"]).expanduser() if given["data"] else None
    own = stated({key: given.get(key) for key in OF_RECIPE})
    if given["recipe"]:
        if own or given["backbone"]:
            name = "backbone" if given["backbone"] else next(iter(own)).replace("_", "-")
            raise UsageError(f"--{name} is what the recipe says", remedy="write it into the recipe")
        return recipe_of(given["recipe"]).single(), data
    if not given["backbone"] or data is None:
        raise UsageError(
            "which backbone is compared, on which images?",
            remedy="--backbone NAME --data DIR, or --recipe RECIPE",
        )
    size = {"model_options": {"img_size": own["size"]}} if "size" in own else {}
    recipe = finetune_recipe(given["backbone"], given["data"], keep="last", **own, **size)
    return recipe, data if data.exists() else None


def _option(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--option {text!r} is not KEY=VALUE", remedy="--option reduction=4")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value


def _name(comparison: Comparison) -> str:
    recipe = comparison.recipe
    return f"compare_{Path(recipe.model).name}_{Path(recipe.data.name).stem}".replace(":", "_")


def _devices() -> tuple[str, ...]:
    import torch

    return tuple(f"cuda:{n}" for n in range(torch.cuda.device_count())) or ("cpu",)


def _fitting(comparison: Comparison, seen: Look, skip: bool) -> Comparison:
    """The comparison without the arms that do not work, if these may be left out."""
    from dataclasses import replace

    from zoo.compare.fitting import refuse

    left = tuple(arm for arm in comparison.arms if arm.label not in seen.unfit)
    if not skip or not left:
        refuse(seen.unfit, comparison.recipe.model)
    for label, reason in seen.unfit.items():
        click.echo(f"warning: {label} is left out: {reason}", err=True)
    return replace(comparison, arms=left)


def _plan(
    comparison: Comparison, where: Where, seen: Look, sd: float | None, devices: int, as_json: bool
) -> None:
    from zoo.compare import plan
    from zoo.compare.folder import Folder

    found = plan.make_plan(comparison, Folder(where.folder), seen, sd=sd, devices=devices)
    if as_json:
        echo_json(plan.asdict(found))
    else:
        click.echo(plan.text(found, comparison))


def _run(comparison: Comparison, where: Where, devices: tuple[str, ...]) -> None:
    from zoo.compare.runner import run_all

    try:
        run_all(comparison, where, devices, said)
    except KeyboardInterrupt as stop:
        click.echo(f"{stop}; the same call goes on from there", err=True)
        sys.exit(INTERRUPTED)


def said(found: dict[str, Any]) -> None:
    """One line on stderr for each finished run."""
    click.echo(
        f"{found['arm']}, seed {found['seed']}: {found['accuracy']:.2f} % of {found['images']:,} "
        f"images ({found['split']}), {found['seconds']:.0f} s of training",
        err=True,
    )


def _report(comparison: Comparison, where: Where, seen: Look, device: str, as_json: bool) -> None:
    from zoo.compare import report
    from zoo.compare.folder import Folder, described
    from zoo.compare.results import results
    from zoo.compare.table import rows, text

    runs = Folder(where.folder).runs()
    if not runs:
        raise UsageError("no run is finished", where=str(where.folder), remedy="leave out --report")
    content = report.report(described(comparison), runs, _costs(comparison, seen, device))
    if as_json:
        echo_json(content)
    else:
        click.echo(text(rows(results(runs), content["costs"])))
        click.echo(f"\n{content['conclusion']}\n")
    for file in report.write(where.folder, content):
        click.echo(str(file), err=True)


def _costs(comparison: Comparison, seen: Look, device: str) -> dict[str, Any]:
    import torch

    from zoo.compare.costs import costs, machine

    place, size = torch.device(device), comparison.recipe.batch_size
    return {
        "machine": machine(place, size),
        "costs": costs(seen.models, seen.size, size, place),
    }
