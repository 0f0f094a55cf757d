"""What a file of attention says of itself, read as data: plain values within bounds."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

from zoo.errors import ConfigError
from zoo.hosts.forms import Joining, Record
from zoo.hosts.planning.softmax import KINDS as KINDS_OF_SOFTMAX
from zoo.hosts.reading.layouts import KINDS, Layout
from zoo.registry import packages
from zoo.registry.specs import Form

METADATA = "zoo_attention"  # the key of the statement in the metadata of a file
ATTENTION_FILE = "attention.safetensors"  # what the file is called in a repository
VERSION = 1
PLACES, CHANNELS, NUMBER, LONGEST = 4096, 2**16, 10**6, 1024
_PATH = re.compile(r"[^.]+(\.[^.]+)*\Z")  # a name in a ModuleDict may have any letters
_WORD = re.compile(r"[A-Za-z_]\w{0,63}\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """One place: the path of the form, and the fields of its `Record` and its `Layout`."""

    path: str
    mechanism: str
    joining: str
    form: str
    channels: int
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    on_tokens: bool = False
    kind: str = "nchw"
    prefix: int = 0
    grid: Any = None
    way: Any = ()
    scaled: bool = False
    base_first: bool = False
    softmax: str = ""
    argument: int | str = 0
    first: int = 0
    end: int = 0
    partner: str = ""

    def record(self) -> Record:
        """The record of the form."""
        grid = tuple(self.grid) if self.grid is not None else None
        told = asdict(self)
        layout = Layout(kind=told.pop("kind"), prefix=told.pop("prefix"), grid=grid)
        told |= {"layout": layout, "way": tuple(self.way)}
        return Record(**{key: value for key, value in told.items() if key not in ("path", "grid")})

    def place(self) -> tuple[str, str]:
        """The path of the module that it is joined to, and the name of the form."""
        owner, _, name = self.path.rpartition(".")
        return (self.path if self.joining in ("set", "replace") else owner), name

    def owner(self) -> str:
        """The path of the module whose attribute the form is."""
        return self.path.rpartition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Of a whole file: the host's class and digests, what was added to it, and whose packages the
    mechanisms are from, beside the zoo's own.
    """

    host: str
    architecture: str
    weights: str
    added: tuple[Stated, ...]
    packages: tuple[str, ...] = ()


def written(statement: Statement) -> str:
    """The statement as JSON. TypeError: something is not plain data."""
    return json.dumps({"version": VERSION, **asdict(statement)})


def read(metadata: Mapping[str, str], where: str) -> Statement:
    """The statement in the metadata of a file.

    Raises:
        ConfigError: there is none, it is of another version, or a value is out of bounds.
    """
    if METADATA not in metadata:
        raise ConfigError(
            "this is no file of attention that was added to a model",
            where=where,
            remedy="zoo.save_attention(model, FILE) writes one",
        )
    try:
        told = json.loads(metadata[METADATA])
        if told["version"] != VERSION:
            raise ConfigError(
                f"the file has version {told['version']!r:.20} of the format, not {VERSION}",
                where=where,
                remedy="another version of the zoo",
            )
        rows = told["added"]
        if not isinstance(rows, list) or not 0 < len(rows) <= PLACES:
            raise ValueError("added")
        heads = {key: _text(key, told[key], 256) for key in ("host", "architecture", "weights")}
        added = tuple(_stated(row) for row in rows)
        return Statement(**heads, added=added, packages=packages.stated(told.get("packages")))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        text = str(error)[:80]
        raise ConfigError(f"the statement is damaged, at {text}", where=where) from None


def _stated(row: Any) -> Stated:
    stated = Stated(**row)
    checks = {
        "path": _is_path(stated.path),
        "mechanism": isinstance(stated.mechanism, str) and bool(_WORD.match(stated.mechanism)),
        "joining": stated.joining in get_args(Joining),
        "form": stated.form in get_args(Form),
        "channels": _whole(stated.channels, 1, CHANNELS),
        "kind": stated.kind in KINDS,
        "prefix": _whole(stated.prefix, 0, NUMBER),
        "grid": stated.grid is None or _grid(stated.grid),
        "way": isinstance(stated.way, list) and all(type(s) in (int, str) for s in stated.way),
        "softmax": stated.softmax in ("", *KINDS_OF_SOFTMAX),
        "argument": _argument(stated.argument),
        "first": _whole(stated.first, 0, CHANNELS),
        "end": _whole(stated.end, 0, CHANNELS),
        "partner": stated.partner == "" or _is_path(stated.partner),
        "options": isinstance(stated.options, dict) and len(stated.options) <= 64,
        "flags": all(
            type(flag) is bool for flag in (stated.on_tokens, stated.scaled, stated.base_first)
        ),
    }
    wrong = [key for key, is_right in checks.items() if not is_right]
    if wrong:
        raise ValueError(", ".join(wrong))
    options = {_word(key): _plain(key, value) for key, value in stated.options.items()}
    return Stated(**{**asdict(stated), "options": options})


def _plain(key: str, value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if type(value) in (int, float) and math.isfinite(value) and abs(value) <= NUMBER:
        return value
    if isinstance(value, str):
        return _text(key, value, 256)
    if isinstance(value, list) and len(value) <= 512 and depth < 4:
        return tuple(_plain(key, item, depth + 1) for item in value)
    if isinstance(value, dict) and len(value) <= 64 and depth < 4:
        return {_text(key, k, 64): _plain(key, item, depth + 1) for k, item in value.items()}
    raise ValueError(f"the option {key}")


def _word(key: str) -> str:
    if not _WORD.match(key) or key in ("device", "dtype"):
        raise ValueError(f"the option {key[:64]!r}")
    return key


def _text(key: str, value: Any, most: int) -> str:
    if not isinstance(value, str) or len(value) > most or not value.isprintable():
        raise ValueError(key)
    return value


def _is_path(value: Any) -> bool:
    return bool(_PATH.match(_text("path", value, LONGEST)))


def _whole(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _argument(value: Any) -> bool:
    """A position, or a keyword."""
    return isinstance(value, str) and bool(_WORD.match(value)) or _whole(value, 0, 64)


def _grid(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_whole(n, 1, NUMBER) for n in value)
