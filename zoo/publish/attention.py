"""What a push of added attention would publish: the file of `zoo.save_attention`, and its card."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from zoo.adapters.statement import ATTENTION_FILE, METADATA, Statement, read
from zoo.errors import UsageError
from zoo.publish import licenses
from zoo.publish.card import packages_needed
from zoo.publish.package import Package
from zoo.weights.safetensors_file import inspect
from zoo.weights.verified_file import VerifiedFile, local_file


def is_attention(path: Path) -> bool:
    """Whether a file is one of `zoo.save_attention`."""
    if not (path.is_file() and path.suffix == ".safetensors"):
        return False
    with local_file(path) as file:
        return METADATA in inspect(file).metadata


def build(file: VerifiedFile, repository: str, *, base_model: str, license: str = "") -> Package:
    """The files of the repository. Nothing is sent.

    Args:
        file: of `zoo.save_attention`, open.
        base_model: the repository on the Hub of the weights that the attention was added to
            (`org/name`), or its name where it has none.
        license: of the attention, as the Hub names it.

    Raises:
        ConfigError: the file is no file of attention. UsageError: there is no `base_model`, or the
        Hub does not know the licence.
    """
    if not base_model:
        raise UsageError(
            "a file of attention is of no use without the model that it was added to",
            where=str(file.path),
            remedy="--base-model ORG/NAME, the repository of that model's weights",
        )
    licenses.check(license)
    statement = read(inspect(file).metadata, str(file.path))
    card = _card(statement, repository, base_model, license, file.sha256)
    return Package(
        model=f"{', '.join(_mechanisms(statement))} in {statement.host}",
        sha256=file.sha256,
        files={ATTENTION_FILE: file.handle, "README.md": card.encode()},
    )


def _mechanisms(statement: Statement) -> list[str]:
    return list(dict.fromkeys(each.mechanism for each in statement.added))


def _card(statement: Statement, repository: str, base_model: str, license: str, sha256: str) -> str:
    from huggingface_hub import ModelCardData

    mechanisms = _mechanisms(statement)
    data = ModelCardData(
        library_name="attention-zoo",
        base_model=base_model,
        base_model_relation="adapter",
        tags=["attention-zoo", f"base_model:adapter:{base_model}", *mechanisms],
        license=license or "unknown",
    )
    return _TEXT.format(
        metadata=data.to_yaml(), name=repository.rpartition("/")[2], base_model=base_model,
        mechanisms=", ".join(f"`{name}`" for name in mechanisms), host=statement.host,
        packages=packages_needed(statement.packages), repository=repository,
        places=_places(statement), sha256=sha256,
        licence="" if license else "No licence was given for the attention.\n\n",
    )  # fmt: skip


def _places(statement: Statement) -> str:
    """A row for each place; the signal of a gate is no place of its own."""
    shown = [each for each in statement.added if each.joining != "signal"]
    rows = [
        f"| `{each.path}` | `{each.mechanism}` | {each.form} | {each.channels} | "
        f"{f'`{json.dumps(each.options)}`' if each.options else ''} |"
        for each in shown
    ]
    counts = Counter(each.mechanism for each in shown)
    summary = ", ".join(f"{number} x {name}" for name, number in counts.items())
    head = "| place | mechanism | form | channels | options |\n|---|---|---|---|---|"
    return "\n".join([f"{summary}.", "", head, *rows])


_TEXT = """---
{metadata}
---

# {name}

Attention ({mechanisms}) that was added to `{base_model}`, a `{host}`. The repository holds what was
added, and nothing of the model itself.

## Use

{packages}```python
import zoo

model = ...  # {base_model}, built as usual, with its weights
zoo.load_attention(model, "hf-hub:{repository}")
```

`zoo.load_attention` refuses a model of another architecture, and warns where the model's weights
are not those that the attention was added to.

## What was added

{places}

{licence}## Integrity

`attention.safetensors` has sha256 `{sha256}`.
"""
