"""`zoo explain`: what a model saw in photographs, and what its attention did there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from zoo.cli import BACKBONE_WEIGHTS, complete
from zoo.cli.output import echo_json, json_option


@click.command()
@click.argument("model", shell_complete=complete.models)
@click.argument("images", nargs=-1, required=True, type=complete.PATH, metavar="IMAGE...")
@click.option("--output", "--out", "output", type=click.Path(), metavar="FILE|FOLDER",
              help="A picture of all images (png, svg, pdf, jpg, webp, gif), or a folder with one "
              "for each; default MODEL.png.")  # fmt: skip
@click.option("--target", metavar="CLASS", help="The class that is explained, by number or name; "
              "default the predicted one.")  # fmt: skip
@click.option("--at", multiple=True, metavar="PATH",
              help="Layers of Grad-CAM; default the last map of the network.")  # fmt: skip
@click.option("--sites", multiple=True, metavar="PATH",
              help="Attentions that are drawn, '**' for all; default one a size.")  # fmt: skip
@click.option("--weights", type=complete.PATH, metavar="TAG|FILE|hf-hub:REPO",
              help="Default: the model's own.")  # fmt: skip
@click.option("--backbone-weights", type=complete.PATH, metavar="FILE", help=BACKBONE_WEIGHTS)
@click.option("--attention", type=complete.PATH, metavar="FILE",
              help="Attention that zoo.save_attention wrote, to add to the model.")  # fmt: skip
@click.option("--num-classes", type=click.IntRange(1), help="Default: that of the weights.")
@click.option("--pretrained/--untrained", default=None,
              help="Default: pretrained, or random where there are no weights.")  # fmt: skip
@click.option("--size", type=click.IntRange(1), help="Side of the images; default the model's.")
@click.option("--channels", type=click.IntRange(0), default=3, show_default=True,
              help="Planes of a map (heads, channels) to draw beside the first.")  # fmt: skip
@json_option
def command(
    model: str,
    images: tuple[str, ...],
    output: str | None,
    target: str | None,
    at: tuple[str, ...],
    sites: tuple[str, ...],
    size: int | None,
    channels: int,
    as_json: bool,
    **building: Any,
) -> None:
    """Draw what MODEL sees in each IMAGE: its classes, where the evidence for one of them lies
    (Grad-CAM), and what its attention did.

    MODEL is a name, the folder of a run of zoo train or a file that zoo.save_model wrote, or
    `module:factory`, a function of yours that gives a torch.nn.Module. An image may have any size.

    Of a glimpse model the picture shows where it looked (a .gif, one glimpse after the other), of a
    spatial transformer what it resampled, of an attention in a backbone how much each position grew
    or shrank, of softmax attention the rows of its matrix. A model without weights is drawn with
    random ones, which is said.
    """
    from zoo.explain.explaining import explain
    from zoo.explain.photograph import check_file
    from zoo.explain.picture.figure import check_matplotlib, keep_photographs, kind_of, save

    name = Path(os.path.abspath(model)).name.replace(":", "_")
    path = output or f"{name}.png"
    folder = path.endswith(os.sep) or Path(path).is_dir()
    if folder or kind_of(path) != "GIF":
        check_matplotlib()
    for image in images:
        check_file(image)
    files = _in_folder(path, images) if folder else [path]
    keep_photographs(files, images)
    built, untrained = _model(model, **building)
    found = [
        explain(built, image, target=target, at=at or None, sites=sites or None, size=size,
                channels=channels)
        for image in images
    ]  # fmt: skip
    for shown, file in zip([[each] for each in found] if folder else [found], files, strict=True):
        save(shown, file)
    if as_json:
        echo_json(_record(model, found, files, untrained))
    else:
        for each in found:
            click.echo(_line(each))
        for file in files:
            click.echo(file)


def _in_folder(folder: str, images: tuple[str, ...]) -> list[str]:
    """A picture for each image, named as it is."""
    names = [Path(image).stem for image in images]
    if len(set(names)) < len(names):
        names = [f"{i}_{name}" for i, name in enumerate(names)]
    return [os.path.join(folder, f"{name}.png") for name in names]


def _record(model: str, found: list[Any], files: list[str], untrained: bool) -> dict[str, Any]:
    from PIL import Image

    size = None
    if not files[0].lower().endswith((".svg", ".pdf")):
        with Image.open(files[0]) as picture:
            size = picture.size
    return {
        "model": model, "picture": files[0], "pictures": files, "size": size,
        "untrained": untrained, "images": [each.asdict() for each in found],
    }  # fmt: skip


def _line(each: Any) -> str:
    """An image and what the model says of it."""
    from zoo.explain.picture.figure import caption

    said = [f"{each.name}: {caption(each) or 'no classes'}"]
    return "\n".join([*said, *(f"  {remark}" for remark in each.remarks)])


def _model(
    model: str,
    *,
    weights: str | None,
    backbone_weights: str | None,
    attention: str | None,
    num_classes: int | None,
    pretrained: bool | None,
) -> tuple[Any, bool]:
    """The model, and whether some of it is untrained."""
    from zoo.cli.sites import is_own, own_model
    from zoo.runtime.model_record import record_of

    chosen = {k: v for k, v in _given(weights, backbone_weights).items() if v}
    if is_own(model):
        _refuse_options(model, {**chosen, "num_classes": num_classes}, pretrained)
        built, untrained = own_model(model), False
    else:
        built, untrained = _built(model, chosen, num_classes, pretrained)
    if attention:
        from zoo.adapters.load import load_attention

        load_attention(built, attention)
    record = record_of(built)
    return built, untrained or bool(record and record.untrained)


def _refuse_options(model: str, options: dict[str, Any], pretrained: bool | None) -> None:
    """A user's own function makes its model as it does: options of the zoo's would be lost."""
    from zoo.errors import UsageError

    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if pretrained is not None:
        given.append("--pretrained" if pretrained else "--untrained")
    if given:
        raise UsageError(
            f"{given[0]} says nothing of {model}, a function of yours",
            remedy="let the function load the weights; --attention adds a file of attention",
        )


def _given(weights: str | None, backbone_weights: str | None) -> dict[str, str | None]:
    return {"weights": weights, "backbone_weights": backbone_weights}


def _built(
    model: str, chosen: dict[str, Any], num_classes: int | None, pretrained: bool | None
) -> tuple[Any, bool]:
    """A model of the zoo; with random weights where there are no others, which is said."""
    from zoo.build.create import create_model
    from zoo.build.saved import is_saved
    from zoo.cli.untrained import check_untrained
    from zoo.errors import WeightsNotFoundError
    from zoo.registry import default_registry

    if pretrained is False:
        check_untrained(model, chosen)
    try:
        wanted = pretrained is not False and not chosen
        return create_model(model, wanted, num_classes=num_classes, **chosen), pretrained is False
    except WeightsNotFoundError as error:
        if chosen or pretrained or is_saved(model, default_registry()):
            raise
        click.echo(f"warning: {error.what}: drawn with random weights", err=True)
        return create_model(model, num_classes=num_classes), True
