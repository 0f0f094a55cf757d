"""The formats: what each is called, by which endings it is known, and what it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from zoo.errors import ExportError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format as it is asked for.

    Attributes:
        title: for messages.
        endings: of files of this format; the format is chosen by them.
        ways: of making it (`zoo.export.programs`), the first that works is taken.
        packages: optional ones that it needs, which `pip install 'attention-zoo[export]'` brings.
    """

    title: str
    endings: tuple[str, ...] = ()
    ways: tuple[str, ...]
    packages: tuple[str, ...] = ()


FORMATS: Mapping[str, Format] = {
    "onnx": Format(
        title="ONNX", endings=(".onnx",), ways=("onnx",),
        packages=("onnx", "onnxscript", "onnxruntime"),
    ),
    "pt2": Format(title="torch.export", endings=(".pt2",), ways=("pt2",)),
    "torchscript": Format(
        title="TorchScript", endings=(".torchscript", ".pt"), ways=("script", "trace")
    ),
    "script": Format(title="TorchScript, scripted", ways=("script",)),
    "trace": Format(title="TorchScript, traced", ways=("trace",)),
}  # fmt: skip


def chosen(path: Path, name: str | None) -> Format:
    """The format of that name, or else the one of the file's ending.

    Raises:
        UsageError: there is no such format, or nothing is known of the ending.
        ExportError: a package that the format needs is not installed.
    """
    if name is not None and name not in FORMATS:
        raise UsageError(f"there is no format {name!r}", remedy=f"one of {', '.join(FORMATS)}")
    found = FORMATS[name] if name is not None else _by_ending(path)
    missing = [package for package in found.packages if find_spec(package) is None]
    if missing:
        raise ExportError(
            f"{found.title} needs {_words(missing)}, which is not installed",
            remedy="pip install 'attention-zoo[export]'",
        )
    return found


def _by_ending(path: Path) -> Format:
    ending = path.suffix.lower()
    for each in FORMATS.values():
        if ending in each.endings:
            return each
    endings = [ending for each in FORMATS.values() for ending in each.endings]
    raise UsageError(
        f"{path.name} has the ending {ending!r}, which is of no format"
        if ending
        else f"{path.name} has no ending, which would tell the format",
        remedy=f"one of {', '.join(endings)}, or format= ({', '.join(FORMATS)})",
    )


def _words(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
