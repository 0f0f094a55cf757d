"""`zoo eval`: measure a model on a data set."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import BACKBONE_WEIGHTS, NUM_CLASSES, complete
from zoo.cli.numbers import CommandWithNumbers, Numbers
from zoo.cli.output import echo_json, json_option

if TYPE_CHECKING:
    from zoo.evaluation.record import Evaluation

SETTINGS = ("input_size", "mean", "std", "crop_pct", "interpolation")


@click.command(cls=CommandWithNumbers)
@click.argument("model", shell_complete=complete.models)
@click.option("--data", metavar="NAME|DIR", shell_complete=complete.datasets,
              help="Data set, or folder of images or parquet files; default what the weights are "
              "measured on.")  # fmt: skip
@click.option("--split", help="Part of the data; default validation, else test, else train.")
@click.option(
    "--weights",
    type=complete.PATH,
    metavar="TAG|FILE|hf-hub:REPO",
    help="Default: the model's own.",
)
@click.option("--backbone-weights", type=complete.PATH, metavar="FILE", help=BACKBONE_WEIGHTS)
@click.option("--num-classes", type=click.IntRange(1), help=NUM_CLASSES)
@click.option("--device", default="auto", help="cpu, cuda, cuda:1, ...; default CUDA if there.")
@click.option("--amp/--no-amp", default=None, help="Autocast; default where it is faster (CUDA).")
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True)
@click.option("--workers", type=click.IntRange(0), help="Decoding processes; default one a core.")
@click.option("--limit", type=click.IntRange(1), help="The first so many images only.")
@click.option("--test-size", is_flag=True, help="Use timm's test resolution of the model.")
@click.option("--input-size", type=click.IntRange(1), nargs=3, metavar="C H W",
              help="Image size, where the weights were trained with another.")  # fmt: skip
@click.option("--mean", type=Numbers(), metavar="M ...", help="Mean of each channel, of 0 to 1.")
@click.option("--std", type=Numbers(), metavar="S ...", help="Deviation of each channel.")
@click.option("--crop-pct", type=click.FloatRange(0, min_open=True), metavar="P",
              help="Share of the resized image that the centre crop takes.")  # fmt: skip
@click.option("--interpolation", metavar="NAME", help="How images are resized: bicubic, ...")
@click.option("--record", type=complete.PATH, metavar="FILE", help="Write the record as JSON.")
@click.option(
    "--picture",
    type=click.Path(),
    metavar="FILE",
    help="Draw where a glimpse model looked (png, jpg).",
)
@click.option("--strict", is_flag=True, help="An image that cannot be read is an error.")
@click.option("--progress/--no-progress", default=None, help="Default: on a terminal.")
@json_option
def command(as_json: bool, **given: Any) -> None:
    """Measure MODEL: top-1 and top-5 accuracy, with the model's own preprocessing.

    Of a model that reads sequences, the whole sequences that are right, and the single labels.

    On several devices or hosts: torchrun --nproc-per-node N -m zoo eval MODEL ...
    """
    # Threads that wait must sleep, since the decoders need the cores. Read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from zoo.evaluation.job import Job

    names = (
        "model", "data", "split", "weights", "backbone_weights", "num_classes", "test_size",
        "record", "picture",
    )  # fmt: skip
    settings = {name: given.pop(name) for name in SETTINGS}
    job = Job(settings=settings, **{name: given.pop(name) for name in names})

    def show(result: Evaluation, record: dict[str, Any]) -> None:
        if as_json:
            echo_json(record)
        else:
            click.echo(result.text(job.model))
        for line in result.remarks():
            click.echo(f"warning: {line}", err=True)

    job.run(show, **given)
