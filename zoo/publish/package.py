"""What a push would publish: weights, config, manifest, card, records, recipe and picture."""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from zoo.errors import UsageError, WeightsNotFoundError
from zoo.publish import card, licenses, records
from zoo.publish.picture import curve_picture
from zoo.registry import packages
from zoo.runtime.files import write_atomically
from zoo.runtime.model_record import record_of
from zoo.training.run_folder import RECIPE, WEIGHTS
from zoo.weights import config
from zoo.weights.model_file import arguments_of, metadata_of
from zoo.weights.remembered import content_digest
from zoo.weights.safetensors_file import to_bytes
from zoo.weights.verified_file import VerifiedFile

if TYPE_CHECKING:
    from torch import nn

Content: TypeAlias = bytes | BinaryIO
_LIBRARIES = ("attention-zoo", "torch", "timm", "huggingface-hub", "safetensors")
_PICTURES = {b"\x89PNG\r\n\x1a\n": "picture.png", b"\xff\xd8\xff": "picture.jpg"}


@dataclass(slots=True, kw_only=True)
class Source:
    """A built model, the file that its weights came from, and what is known of its training.

    `file` is None where the state of the model is in no file. The weights are then those of the
    plain backbone `untrained`, with an untrained attention.
    """

    name: str
    model: nn.Module
    info: Mapping[str, Any]
    file: VerifiedFile | None = None
    recipe: str = ""
    data: str = ""
    license: str = ""
    untrained: str = ""
    curve: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class Package:
    """The files of a repository by name, and what stands for the weights in messages."""

    model: str
    sha256: str
    files: dict[str, Content] = field(default_factory=dict[str, Content])

    def digests(self) -> dict[str, tuple[str, str]]:
        """For each file (sha256, git's blob id); the Hub states one or the other."""
        from io import BytesIO

        found: dict[str, tuple[str, str]] = {}
        for name, content in self.files.items():
            file = BytesIO(content) if isinstance(content, bytes) else content
            found[name] = content_digest(file, "sha256"), content_digest(file, "git")
        return found

    def write(self, folder: Path) -> None:
        """Write the files into a folder, so that somebody can look at them."""
        for name, content in self.files.items():
            if not isinstance(content, bytes):
                content.seek(0)
                content = content.read()
            write_atomically(folder / name, content)


def build(
    source: Source,
    repository: str,
    *,
    record_paths: Sequence[Path] = (),
    picture: Path | None = None,
    license: str = "",
) -> Package:
    """Make everything that will be in the repository. Nothing is sent.

    Raises:
        UsageError: a record is not of these weights, the picture is none, or the Hub does not know
            the licence.
        ConfigError: a record is none, or the config could not be read back.
    """
    licenses.check(license or source.license)
    weights, sha256 = _weights(source)
    measured = [records.read(path) for path in record_paths]
    records.check(measured, source.name, sha256)
    settings = config_json(source.model, license or source.license)
    text = json.dumps(settings, indent=2).encode()
    config.parse(text, "config.json")  # what is published can be read back
    files: dict[str, Content] = {WEIGHTS: weights, "config.json": text}
    image: dict[str, Content] = {**(_picture(picture) or curve_picture(source.curve))}
    files |= image
    files |= {f"records/{i}.json": _json(r) for i, r in enumerate(measured)}
    if source.recipe:
        files[RECIPE] = source.recipe.encode()
    libraries = (*_LIBRARIES, *settings.get("packages", ()))
    versions = {"python": platform.python_version(), **{name: version(name) for name in libraries}}
    files["zoo.json"] = _json(_manifest(source, sha256, measured, versions, license))
    files["README.md"] = card.render(
        card.Facts(
            repository=repository, model=source.name, sha256=sha256, info=source.info,
            config=settings, records=measured, recipe=source.recipe, data=source.data,
            license=license or source.license, untrained=source.untrained,
            picture=next(iter(image), ""), versions=versions,
        )
    ).encode()  # fmt: skip
    return Package(source.name, sha256, files)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, default=str) + "\n").encode()


def _weights(source: Source) -> tuple[Content, str]:
    """The very file that was loaded; for an untrained attention, the model's own state."""
    if source.file is not None:
        return source.file.handle, source.file.sha256
    from hashlib import sha256

    written = to_bytes(source.model.state_dict(), metadata_of(source.model))
    return written, sha256(written).hexdigest()


def config_json(model: nn.Module, license: str = "") -> dict[str, Any]:
    """The `config.json` in timm's schema. Its `model_args` rebuild the model by the zoo's name."""
    from timm.models._hub import save_config_for_hf

    described = record_of(model)
    arguments = arguments_of(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        save_config_for_hf(model, str(path), model_args=arguments)
        settings = json.loads(path.read_text())
    settings["architecture"] = described.name if described else settings["architecture"]
    if needed := packages.of_model(settings["architecture"], arguments.get("attention", "")):
        settings["packages"] = needed
    nested = settings["pretrained_cfg"]
    for key in ("origin_url", "paper_ids", "license"):  # of the backbone's weights, not of these
        nested.pop(key, None)
    if license:
        nested["license"] = license
    return settings


def _manifest(
    source: Source, sha256: str, measured: Sequence[Mapping[str, Any]],
    versions: Mapping[str, str], license: str,
) -> dict[str, Any]:  # fmt: skip
    return {
        "model": source.name,
        "filename": WEIGHTS,
        "sha256": sha256,
        "insertion": record.insertion if (record := record_of(source.model)) else "plain",
        "license": license or source.license,
        "data": source.data,
        "untrained": source.untrained,
        "recipe": RECIPE if source.recipe else "",
        "metrics": [{"data": r["data"], "metrics": r["metrics"]} for r in measured],
        "versions": dict(versions),
    }


def _picture(path: Path | None) -> dict[str, Content]:
    if path is None:
        return {}
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsNotFoundError(f"the picture cannot be read: {error}") from None
    for magic, name in _PICTURES.items():
        if content.startswith(magic):
            return {name: content}
    raise UsageError("the picture is neither PNG nor JPEG", where=str(path))
