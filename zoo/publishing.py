"""What is to be published: a model by name, or the outcome of a training run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from zoo.catalogue import model_info
from zoo.errors import UsageError
from zoo.factory import create_model
from zoo.hub import config, fetch
from zoo.hub.package import Source
from zoo.plan import make_plan
from zoo.registry import default_registry
from zoo.remembered import read_note
from zoo.safetensors_file import inspect
from zoo.training.recipe import read_recipe
from zoo.verified_file import VerifiedFile, local_file

WEIGHTS, RECIPE, CURVE = "model.safetensors", "recipe.toml", "curve.csv"
CONFIG, MANIFEST = "config.json", "zoo.json"


@contextmanager
def open_source(target: str, *, weights: str = "", recipe: Path | None = None) -> Iterator[Source]:
    """Build and load what `target` names: a model, a run's folder, or a safetensors file.

    A context: the file stays open in it, so that what was checked is what is published.

    Args:
        target: MODEL[.TAG]; or a folder or file that `zoo train` wrote.
        weights: for a model by name: a tag, a file or a repository. Default: its default weights.
        recipe: what trained it; found beside the weights of a run.

    Raises:
        UsageError: nothing says which model the file is of. WeightsError: the file is not that
        model's, or cannot be trusted.
    """
    path = Path(target)
    with ExitStack() as stack:
        if path.exists() or path.suffix in (".safetensors", ".pt"):
            yield _from_run(path, recipe, stack)
        else:
            yield _from_name(target, weights, recipe, stack)


def _from_run(path: Path, recipe: Path | None, stack: ExitStack) -> Source:
    folder = path if path.is_dir() else path.parent
    file = path if path.suffix == ".safetensors" else folder / WEIGHTS
    file = stack.enter_context(local_file(file))
    if recipe is None and (folder / RECIPE).is_file():
        recipe = folder / RECIPE
    stated = _stated(folder)
    if recipe is not None:
        source = _built(*_read_recipe(recipe), file)
    else:
        name, options = _described(folder, file)
        source = _built(name, options, "", stated.get("data", ""), file)
    source.curve = folder / CURVE
    source.license, source.untrained = stated.get("license", ""), stated.get("untrained", "")
    return source


def _stated(folder: Path) -> dict[str, str]:
    """What the manifest of a package written by `zoo push --out` says, as text."""
    manifest = read_note(folder / MANIFEST)
    return {key: value for key, value in manifest.items() if isinstance(value, str)}


def _described(folder: Path, file: VerifiedFile) -> tuple[str, dict[str, Any]]:
    """The model that the weights' own metadata names, or a `config.json` beside them."""
    try:
        settings = json.loads(inspect(file).metadata["zoo"])
        return settings["name"], dict(settings.get("options", {}))
    except (ValueError, TypeError, KeyError):
        pass
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


def _read_recipe(path: Path) -> tuple[str, dict[str, Any], str, str]:
    settings = read_recipe(path)
    return settings.model, dict(settings.model_options), path.read_text(), settings.data.name


def _built(
    name: str, options: Mapping[str, Any], recipe: str, data: str, file: VerifiedFile
) -> Source:
    model = create_model(name, weights=file.path, **options)
    _same_file(model, file)
    return Source(
        name=_name(model, name), model=model, info=model_info(name), file=file, recipe=recipe,
        data=data, options=options,
    )  # fmt: skip


def _from_name(name: str, weights: str, recipe: Path | None, stack: ExitStack) -> Source:
    plan = make_plan(
        name, default_registry(), pretrained=not weights, weights=weights or None, options={}
    )
    options: dict[str, Any] = {}
    text, data = "", ""
    if recipe is not None:
        _, options, text, data = _read_recipe(recipe)
    if isinstance(plan.weights, Path):
        file = stack.enter_context(local_file(plan.weights))
        return _built(name, options, text, data, file)
    assert plan.weights is not None
    model = create_model(name, pretrained=not weights, weights=weights or None, **options)
    spec = plan.weights
    return Source(
        name=_name(model, name),
        model=model,
        info=model_info(name),
        file=None if plan.warm else stack.enter_context(fetch(spec)),
        recipe=text,
        data=data or spec.data,
        license=spec.license,
        untrained=spec.repository if plan.warm else "",
        options=options,
    )


def _name(model: nn.Module, name: str) -> str:
    return getattr(model, "zoo_config", {}).get("name") or name.partition(".")[0]


def _same_file(model: nn.Module, file: VerifiedFile) -> None:
    """The file that was loaded by its path is the one that is open here."""
    if getattr(model, "zoo_weights", {}).get("sha256") != file.sha256:
        raise UsageError("the weights file was changed while it was read", where=str(file.path))
