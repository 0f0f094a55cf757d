"""What is fuzzed: functions from bytes, which may raise the project's own errors and nothing else.

Used by the hypothesis tests; with atheris, `python -m hub.fuzz TARGET [libFuzzer options]` (from
the folder `tests`, with the repository root on PYTHONPATH).
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from zoo.errors import ZooError


def _on_file(use: Callable[[Path], object], content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        use(path)


def safetensors(content: bytes) -> None:
    """Header and tensors of a file."""
    from zoo.hub import local_file
    from zoo.weights.safetensors_file import tensors

    def use(path: Path) -> None:
        with local_file(path) as file:
            found = tensors(file)
        held = sum(tensor.numel() * tensor.element_size() for tensor in found.values())
        assert held <= len(content)

    _on_file(use, content)


def config(content: bytes) -> None:
    """`config.json` of a repository."""
    from zoo.weights.config import parse

    parse(content, "config.json")


def manifest(content: bytes) -> None:
    """A manifest; one that is read can be written and is then the same."""
    from zoo.weights import manifests

    def use(path: Path) -> None:
        spec = manifests.read(path)
        path.write_text(manifests.dumps(spec))
        assert repr(manifests.read(path)) == repr(spec)

    _on_file(use, content)


def record(content: bytes) -> None:
    """A record of an evaluation."""
    from zoo.publish.records import read

    _on_file(read, content)


def recipe(content: bytes) -> None:
    """A training recipe."""
    from zoo.recipes import read_recipe

    _on_file(read_recipe, content)


def name(content: bytes) -> None:
    """A model's name."""
    from zoo.registry import default_registry
    from zoo.registry.names import parse

    parse(content.decode("utf-8", "replace"), default_registry())


def repository(content: bytes) -> None:
    """The name of a repository; one that is accepted stays in the cache folder."""
    from zoo.hub.commits import parse_repository
    from zoo.hub.request import Request, repository_folder

    text = content.decode("utf-8", "replace")
    where, revision = parse_repository(text)
    Request(repository=where, revision=revision, filename=text)
    folder = repository_folder(where) / "snapshots" / ("0" * 40)
    assert (folder / text).resolve().is_relative_to(folder.resolve())


def answer(content: bytes) -> None:
    """The Hub's answer for a repository, as JSON of any shape."""
    import json

    from huggingface_hub.hf_api import ModelInfo, RepoFile

    from zoo.hub import client, commits

    with client.translated("fuzz"):
        value = json.loads(content)
        info = ModelInfo(**value) if isinstance(value, dict) else ModelInfo(id="x", siblings=value)
        commits._entries(info.siblings or ())
        commits._entries([RepoFile(**row) for row in value])


def plugin(junk: Any) -> None:
    """A plugin whose hooks return anything."""
    from zoo import hookimpl
    from zoo.registry import Registry

    def hook(kind: str) -> Any:
        def implementation() -> Any:
            return junk

        implementation.__name__ = kind
        return hookimpl(implementation)

    names = ("attentions", "models", "weights", "recipes", "backbones", "datasets")
    kinds = [f"zoo_{name}" for name in names]
    fake = SimpleNamespace(__name__="junk", **{kind: hook(kind) for kind in kinds})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(Registry(plugins=[fake]).attentions) > 0


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (safetensors, config, manifest, record, recipe, name, repository, answer)
}


def run(target: Callable[[Any], None], content: Any) -> None:
    """Call a target; the project's own errors are its right."""
    try:
        target(content)
    except ZooError as error:
        assert str(error)


def main() -> None:
    import atheris  # pyright: ignore[reportMissingImports]

    target = TARGETS[sys.argv.pop(1)]
    atheris.instrument_all()
    atheris.Setup(sys.argv, lambda content: run(target, content))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
