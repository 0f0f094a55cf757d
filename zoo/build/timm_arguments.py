"""Which models the arguments of a script of timm name, in themselves or in a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

LISTS = ("--model", "--model-list")  # may be given a file with a name on each line
CONFIGS = ("--config", "-c")  # YAML or JSON with keys like `model` or `kd-model-name`
_MODEL_KEY = re.compile(r"(.*[_-])?model([_-]name)?")


def named_models(arguments: Iterable[str]) -> list[str]:
    """What may be the name of a model: the values of arguments, and those in lists and settings."""
    return [name for name in dict.fromkeys(_values(arguments)) if name and name[0] != "-"]


def _values(arguments: Iterable[str]) -> Iterator[str]:
    option = ""
    for argument in arguments:
        key, equals, value = argument.partition("=")
        option, value = (key, value) if equals else (option, argument)
        yield value
        if option in (*LISTS, *CONFIGS) and os.path.isfile(value):
            text = Path(value).read_text("utf-8", errors="replace")
            yield from _first_cells(text) if option in LISTS else _of_settings(text)
        option = argument


def _first_cells(text: str) -> Iterator[str]:
    """Of each row of a list, or of a table as timm's `results/*.csv`."""
    for line in text.splitlines():
        yield line.partition(",")[0].strip().strip("\"'")


def _of_settings(text: str) -> Iterator[str]:
    """What settings call a model; those that cannot be read are left to the script to refuse."""
    try:
        settings = yaml.safe_load(text)
    except yaml.YAMLError:
        return
    for key, value in settings.items() if isinstance(settings, dict) else ():
        if isinstance(value, str) and _MODEL_KEY.fullmatch(str(key)):
            yield value
