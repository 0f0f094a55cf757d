"""`zoo predict`: name what is in images."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import complete
from zoo.cli.output import echo_json, json_option
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.evaluation.predict import Prediction


@click.command()
@click.argument("model", shell_complete=complete.models)
@click.argument("images", nargs=-1, required=True, type=complete.PATH, metavar="IMAGE...")
@click.option("--top", type=click.IntRange(1), default=5, show_default=True,
              help="Classes of each image.")  # fmt: skip
@click.option(
    "--weights",
    type=complete.PATH,
    metavar="TAG|FILE|hf-hub:REPO",
    help="Default: the model's own.",
)
@click.option("--device", default="auto", help="cpu, cuda, cuda:1, ...; default CUDA if there.")
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True)
@click.option("--workers", type=click.IntRange(0),
              help="Decoding processes; default one a core for many images.")  # fmt: skip
@click.option("--csv", "as_csv", is_flag=True, help="A row an image on stdout, as it is done.")
@json_option
def command(
    model: str, images: tuple[str, ...], top: int, weights: str | None, device: str,
    batch_size: int, workers: int | None, as_csv: bool, as_json: bool,
) -> None:  # fmt: skip
    """Name what MODEL finds in each IMAGE: the most probable classes.

    MODEL is a name, the folder of a run of zoo train, or a file of weights. IMAGE is a file, a
    folder (with all images below it) or a pattern such as 'photos/*.jpg'.

    An image that cannot be read, or whose scores are no finite numbers, is named on stderr; the
    exit code is then 1.
    """
    # Threads that wait must sleep, since the decoders need the cores. Read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from zoo.build.create import create_model
    from zoo.build.remarks import refuse_reset
    from zoo.evaluation.predict import predictions
    from zoo.runtime.processes import cores

    if as_csv and as_json:
        raise UsageError("--csv and --json exclude each other")
    files = [file for given in images for file in _files(given)]
    if not any(os.path.exists(file) for file in files):  # before weights are fetched
        raise UsageError("none of the images is there", where=", ".join(images))
    if workers is None:
        workers = 0 if len(files) < 2 * batch_size else min(8, cores())
    built = create_model(model, not weights, weights=weights)
    refuse_reset(built, model, "used")
    found = predictions(
        built, files, top, device=device, batch_size=batch_size, workers=workers
    )  # fmt: skip
    show = _json if as_json else _csv if as_csv else _text
    unread = show(_told(found), top)
    if unread:
        sys.exit(1)


def _files(given: str) -> Iterator[str]:
    """The images that an argument means. A file that is not there is named when it is read."""
    from glob import glob

    from zoo.data.scan import scan

    path = Path(given).expanduser()
    if path.is_dir():
        found = scan(path, path).images
        if not found:
            raise UsageError("no images in the folder", where=given)
        yield from found
    elif not path.exists() and any(sign in given for sign in "*?["):
        matches = sorted(glob(os.path.expanduser(given), recursive=True))
        if not matches:
            raise UsageError("the pattern fits no file", where=given)
        yield from (match for match in matches if not os.path.isdir(match))
    else:
        yield str(path)


def _told(found: Iterable[Prediction]) -> Iterator[Prediction]:
    """Name on stderr the images that have no classes, one line each."""
    for prediction in found:
        if prediction.error:
            click.echo(f"error: cannot classify {prediction.image}: {prediction.error}", err=True)
        yield prediction


def _text(found: Iterable[Prediction], top: int) -> int:
    unread = 0
    for prediction in found:
        unread += bool(prediction.error)
        if prediction.error:
            continue
        click.echo(prediction.image)
        for guess in prediction.classes:
            click.echo(f"  {100 * guess.probability:5.1f} %  {guess.text}")
    return unread


def _json(found: Iterable[Prediction], top: int) -> int:
    predictions = list(found)
    echo_json([asdict(prediction) for prediction in predictions])
    return sum(bool(prediction.error) for prediction in predictions)


def _csv(found: Iterable[Prediction], top: int) -> int:
    unread = 0
    ranks = [f"{what}_{n}" for n in range(1, top + 1) for what in ("class", "probability")]
    click.echo(_row(["image", *ranks, "error"]))
    for prediction in found:
        unread += bool(prediction.error)
        cells: list[Any] = []
        for guess in prediction.classes:
            cells += [guess.text, f"{guess.probability:.6f}"]
        cells += [""] * (len(ranks) - len(cells))
        click.echo(_row([prediction.image, *cells, prediction.error]))
    return unread


def _row(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()
