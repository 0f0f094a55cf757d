"""`zoo export`: a model as a file that runs without the zoo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zoo.cli import BACKBONE_WEIGHTS, NUM_CLASSES, complete
from zoo.cli.output import echo_json, json_option
from zoo.export.formats import FORMATS

if TYPE_CHECKING:
    from torch import nn


@click.command()
@click.argument("model", shell_complete=complete.models)
@click.argument("out", type=complete.PATH)
@click.option("--format", type=click.Choice(list(FORMATS)),
              help="Default: by the ending: .onnx, .pt2, .torchscript or .pt.")  # fmt: skip
@click.option("--weights", type=complete.PATH, metavar="TAG|FILE|hf-hub:REPO",
              help="Default: the model's own.")  # fmt: skip
@click.option("--backbone-weights", type=complete.PATH, metavar="FILE", help=BACKBONE_WEIGHTS)
@click.option("--pretrained/--untrained", default=True, show_default=True,
              help="The model's own weights, or random ones.")  # fmt: skip
@click.option("--num-classes", type=click.IntRange(1), help=NUM_CLASSES)
@click.option("--in-chans", type=click.IntRange(1), help="Channels of the image; default theirs.")
@click.option("--img-size", type=click.IntRange(1), help="Side of the image; default the model's.")
@click.option("--batch-size", type=click.IntRange(1), help="The only one; default any.")
@click.option("--dynamic-size", is_flag=True, help="Images of any size, where the model can.")
@click.option("--opset", type=click.IntRange(1), help="Of ONNX; default the exporter's.")
@json_option
def command(
    model: str, out: str, format: str | None, batch_size: int | None, dynamic_size: bool,
    opset: int | None, as_json: bool, **which: Any,
) -> None:  # fmt: skip
    """Export MODEL to OUT: ONNX (.onnx), torch.export (.pt2) or TorchScript (.torchscript, .pt).

    The file is read back and compared with the model on random inputs of several sizes, and is
    written only if it computes the same. Name of the model, preprocessing and classes go along.
    """
    from zoo.export.door import export
    from zoo.export.formats import chosen
    from zoo.export.target import check_target

    chosen(check_target(out), format)  # before any weights are fetched
    built = _built(model, **which)
    result = export(
        built, out, format=format, batch_size=batch_size, dynamic_size=dynamic_size, opset=opset
    )
    for remark in result.remarks:
        click.echo(f"note: {remark}", err=True)
    if as_json:
        echo_json(result.asdict())
    else:
        click.echo(result.text())


def _built(
    name: str, *, weights: str | None, backbone_weights: str | None, pretrained: bool, **how: Any
) -> nn.Module:  # pyright: ignore[reportReturnType]  # timm's contexts swallow no error
    """The model with its weights, of layers that can be exported."""
    from timm.layers import set_exportable, set_scriptable

    from zoo.build.create import create_model
    from zoo.cli.untrained import check_untrained
    from zoo.errors import WeightsNotFoundError

    given = {"weights": weights, "backbone_weights": backbone_weights}
    chosen: dict[str, Any] = {key: value for key, value in given.items() if value}
    options = {key: value for key, value in how.items() if value is not None}
    if not pretrained:
        check_untrained(name, chosen)
    with set_exportable(True), set_scriptable(True):
        try:
            return create_model(name, pretrained and not chosen, **chosen, **options)
        except WeightsNotFoundError as error:
            remedy = f"{error.remedy}; or --untrained" if error.remedy else "--untrained"
            error = WeightsNotFoundError(error.what, where=error.where, remedy=remedy)
            raise error from None
