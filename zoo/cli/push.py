"""`zoo push`: publish a model or the outcome of a training run on the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import click

from zoo.cli import BACKBONE_WEIGHTS, NUM_CLASSES, complete
from zoo.cli.output import echo_json, json_option
from zoo.errors import UsageError

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("target", metavar="MODEL|CHECKPOINT", shell_complete=complete.models)
@click.argument("repository", metavar="ORG/NAME")
@click.option(
    "--weights",
    type=click.Path(),
    default="",
    help="For a MODEL: tag, file or hf-hub:... to publish.",
)
@click.option("--backbone-weights", type=click.Path(), default="", metavar="FILE",
              help=BACKBONE_WEIGHTS)  # fmt: skip
@click.option("--num-classes", type=click.IntRange(1), help=NUM_CLASSES)
@click.option("--recipe", type=FILE, help="What trained it; default recipe.toml beside it.")
@click.option("--record", "records", type=FILE, multiple=True, help="A record of zoo eval.")
@click.option("--picture", type=FILE, help="A PNG or JPEG for the card.")
@click.option("--base-model", default="", metavar="ORG/NAME",
              help="For a file of zoo.save_attention: the weights that it belongs to.")  # fmt: skip
@click.option("--license", default="", help="Of the weights, as the Hub names it.")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("--create-pr", is_flag=True, help="Open a pull request instead.")
@click.option("--dry-run", is_flag=True, help="Send nothing.")
@click.option("--out", type=click.Path(path_type=Path), help="Also write the files here.")
@json_option
def command(
    target: str, repository: str, weights: str, backbone_weights: str, num_classes: int | None,
    recipe: Path | None, records: tuple[Path, ...], picture: Path | None, base_model: str,
    license: str,
    private: bool, create_pr: bool, dry_run: bool, out: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Publish a MODEL, or a CHECKPOINT (a folder or file of `zoo train`), as ORG/NAME.

    A file of `zoo.save_attention` is published as what it is: an adapter of --base-model.

    Metrics come from records of `zoo eval` on these very weights; others are refused. The commit
    goes onto what the repository holds now or not at all, and is read back and compared.
    """
    from zoo.hub.commits import check_request
    from zoo.publish import attention
    from zoo.publish.package import build
    from zoo.publish.push import push
    from zoo.publish.source import open_source
    from zoo.weights.verified_file import local_file

    check_request(repository, "main")
    chosen = {"weights": weights, "backbone_weights": backbone_weights}
    with ExitStack() as stack:
        if attention.is_attention(Path(target)):
            of_models = {
                **chosen, "num_classes": num_classes, "recipe": recipe, "record": records,
                "picture": picture,
            }  # fmt: skip
            _refuse(of_models, "a file of attention")
            file = stack.enter_context(local_file(target))
            package = attention.build(file, repository, base_model=base_model, license=license)
        else:
            _refuse({"base_model": base_model}, "a model")
            source = stack.enter_context(
                open_source(target, **chosen, num_classes=num_classes, recipe=recipe)
            )
            package = build(
                source, repository, record_paths=records, picture=picture, license=license
            )
        if out:
            package.write(out)
        result = {"model": package.model, "sha256": package.sha256, "files": sorted(package.files)}
        if not dry_run:
            result |= asdict(push(package, repository, private=private, create_pr=create_pr))
    if as_json:
        echo_json(result)
        return
    click.echo("\n".join(f"{name}: {value}" for name, value in result.items() if value))


def _refuse(options: Mapping[str, object], what: str) -> None:
    """Refuse options that would say nothing of what is published."""
    for name, value in options.items():
        if value:
            raise UsageError(f"--{name.replace('_', '-')} says nothing of {what}")
