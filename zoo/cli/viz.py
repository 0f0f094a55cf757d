"""`zoo viz`: what a model attends to in images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli import BACKBONE_WEIGHTS, complete
from zoo.cli.output import echo_json, json_option


@click.command()
@click.argument("model", shell_complete=complete.models)
@click.argument("images", nargs=-1, required=True, type=complete.PATH, metavar="IMAGE...")
@click.option(
    "--out",
    type=click.Path(),
    metavar="FILE",
    help="The picture (png, gif, jpg, ...); default MODEL.png.",
)
@click.option(
    "--weights",
    type=complete.PATH,
    metavar="TAG|FILE|hf-hub:REPO",
    help="Default: the model's own.",
)
@click.option("--backbone-weights", type=complete.PATH, metavar="FILE", help=BACKBONE_WEIGHTS)
@click.option("--num-classes", type=click.IntRange(1), help="Default: that of the weights.")
@click.option("--untrained", is_flag=True, help="Random weights, for a model that has no others.")
@click.option("--size", type=click.IntRange(1), help="Side of the images; default the model's.")
@click.option("--channels", type=click.IntRange(0), default=3, show_default=True,
              help="Channels of each mask to draw, beside their mean.")  # fmt: skip
@json_option
def command(
    model: str,
    images: tuple[str, ...],
    out: str | None,
    weights: str | None,
    backbone_weights: str | None,
    num_classes: int | None,
    untrained: bool,
    size: int | None,
    channels: int,
    as_json: bool,
) -> None:
    """Draw what MODEL attends to in each IMAGE.

    That is its glimpses (a .gif shows them one after the other), what it samples, its masks, or,
    of an attention in a backbone, how much that grew or shrank each position.

    A model without weights is drawn with random ones, which is said.
    """
    from zoo.build.create import create_model
    from zoo.errors import WeightsNotFoundError
    from zoo.explain.canvas import picture_format, save
    from zoo.explain.show import show
    from zoo.runtime.model_record import record_of

    file = out or f"{Path(model).name}.png"
    picture_format(file)
    given = {"weights": weights, "backbone_weights": backbone_weights}
    chosen: dict[str, Any] = {key: value for key, value in given.items() if value}
    try:
        pretrained = not (untrained or chosen)
        built = create_model(model, pretrained, num_classes=num_classes, **chosen)
    except WeightsNotFoundError as error:
        if chosen:
            raise
        click.echo(f"warning: {error.what}: drawn with random weights", err=True)
        built, untrained = create_model(model, num_classes=num_classes), True
    record = record_of(built)
    untrained = untrained or bool(record and record.untrained)
    frames = show(built, images, size=size, channels=channels)
    save(frames, file)
    if as_json:
        echo_json(
            {"model": model, "picture": file, "size": frames[-1].size, "untrained": untrained}
        )
    else:
        click.echo(file)
