"""What is to be published: a model by name, or what a training run left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from zoo.build.create import create_model
from zoo.build.plan import make_plan
from zoo.build.remarks import refuse_reset
from zoo.build.saved import is_saved
from zoo.errors import UsageError
from zoo.hub import fetch
from zoo.publish.package import Source
from zoo.recipes import read_staged
from zoo.registry import default_registry
from zoo.registry.catalogue import model_info
from zoo.registry.specs import WeightsSpec
from zoo.runtime.model_record import record_of
from zoo.training.run_folder import CURVE, RECIPE
from zoo.weights import config
from zoo.weights.model_file import statement_of, weights_file
from zoo.weights.remembered import read_note
from zoo.weights.safetensors_file import inspect
from zoo.weights.verified_file import VerifiedFile, local_file

CONFIG, MANIFEST = "config.json", "zoo.json"


@contextmanager
def open_source(
    target: str, *, weights: str = "", backbone_weights: str = "", num_classes: int | None = None,
    recipe: Path | None = None,
) -> Iterator[Source]:  # fmt: skip
    """Build and load what `target` names: a model, the folder of a run, or a safetensors file.

    It is a context in which the file stays open, so that what was checked is what is published.

    Args:
        target: MODEL[.TAG], or a folder or file that `zoo train` or `zoo.save_model` wrote.
        weights: for a model by name, a tag, a file or a repository. By default, its default
            weights.
        backbone_weights: as in `create_model`.
        num_classes: the number of classes that the weights must have.
        recipe: what trained the weights. By default, the recipe that lies beside the weights of a
            run.

    Raises:
        UsageError: nothing says which model the file is of; weights are named beside a folder or a
            file.
        WeightsError: the file is not that model's, has another number of classes, or cannot be
            trusted.
    """
    path = Path(target)
    options = {} if num_classes is None else {"num_classes": num_classes}
    with ExitStack() as stack:
        if _is_path(target):
            if weights or backbone_weights:
                raise UsageError("the path names the weights already", where=target)
            source = _from_run(path, recipe, options, stack)
        else:
            given = {"weights": weights, "backbone_weights": backbone_weights}
            chosen = {key: value for key, value in given.items() if value} or {"pretrained": True}
            source = _from_name(target, chosen, options, recipe, stack)
        refuse_reset(source.model, source.name, "published")
        yield source


def _is_path(target: str) -> bool:
    """As in `create_model`, and any file beside the weights of a run."""
    path = Path(target)
    return is_saved(target, default_registry()) or path.is_file() or path.suffix == ".pt"


def _from_run(
    path: Path, recipe: Path | None, options: Mapping[str, Any], stack: ExitStack
) -> Source:
    folder = path if path.is_dir() else path.parent
    file = stack.enter_context(local_file(weights_file(path)))
    if recipe is None and (folder / RECIPE).is_file():
        recipe = folder / RECIPE
    stated = _stated(folder)
    name, described = _described(folder, file, recipe)
    text, data = _read_text(recipe) if recipe else ("", stated.get("data", ""))
    source = _built(name, {**described, **options}, text, data, file)
    source.curve = folder / CURVE
    source.license, source.untrained = stated.get("license", ""), stated.get("untrained", "")
    return source


def _stated(folder: Path) -> dict[str, str]:
    """What the manifest of a package written by `zoo push --out` says, as text."""
    manifest = read_note(folder / MANIFEST)
    return {key: value for key, value in manifest.items() if isinstance(value, str)}


def _described(
    folder: Path, file: VerifiedFile, recipe: Path | None
) -> tuple[str, Mapping[str, Any]]:
    """The model that the file itself states, else the recipe, or a `config.json` beside it."""
    statement = statement_of(inspect(file).metadata, str(file.path))
    if statement is not None:
        return statement.name, statement.arguments
    if recipe is not None:
        return read_staged(recipe).last.model, _options(recipe)
    try:
        parsed = config.parse((folder / CONFIG).read_bytes(), str(folder / CONFIG))
    except OSError:
        raise UsageError(
            "nothing says which model these weights are of",
            where=str(file.path),
            remedy=f"zoo push {file.path} ORG/NAME --recipe RECIPE, "
            f"or zoo push MODEL ORG/NAME --weights {file.path}",
        ) from None
    return parsed.architecture, {"num_classes": parsed.num_classes, **parsed.model_args}


def _options(recipe: Path) -> dict[str, Any]:
    """What a recipe builds its model with, but for the weights that it starts from."""
    found = read_staged(recipe).last.model_options.items()
    return {key: value for key, value in found if key != "backbone_weights"}


def _read_text(path: Path) -> tuple[str, str]:
    """A recipe's text, and the data it trains on."""
    recipe = read_staged(path)
    return recipe.text.decode(), recipe.last.data.name


def _built(
    name: str, options: Mapping[str, Any], recipe: str, data: str, file: VerifiedFile
) -> Source:
    model = create_model(name, weights=file.path, **options)
    _same_file(model, file)
    return Source(
        name=_name(model, name), model=model, info=model_info(name), file=file, recipe=recipe,
        data=data, options=options,
    )  # fmt: skip


def _from_name(
    name: str, chosen: Mapping[str, Any], options: Mapping[str, Any], recipe: Path | None,
    stack: ExitStack,
) -> Source:  # fmt: skip
    if recipe is not None:
        options = {**_options(recipe), **options}
    text, data = _read_text(recipe) if recipe else ("", "")
    plan = make_plan(name, default_registry(), **chosen, **options)
    if isinstance(plan.weights, Path) and not plan.warm:
        file = stack.enter_context(local_file(plan.weights))
        return _built(name, options, text, data, file)
    assert plan.weights is not None
    model = create_model(name, **chosen, **options)
    spec = plan.weights if isinstance(plan.weights, WeightsSpec) else None
    backbone = spec.repository if spec else Path(str(plan.weights)).name
    return Source(
        name=_name(model, name),
        model=model,
        info=model_info(name),
        file=None if spec is None or plan.warm else stack.enter_context(fetch(spec)),
        recipe=text,
        data=data or (spec.data if spec else ""),
        license=spec.license if spec else "",
        untrained=backbone if plan.warm else "",
        options=options,
    )


def _name(model: nn.Module, name: str) -> str:
    return record.name if (record := record_of(model)) else name.partition(".")[0]


def _same_file(model: nn.Module, file: VerifiedFile) -> None:
    """The file that was loaded by its path is the one that is open here."""
    record = record_of(model)
    if record is None or record.weights.get("sha256") != file.sha256:
        raise UsageError("the weights file was changed while it was read", where=str(file.path))
