"""What the commands write: results to stdout, and with `--json` nothing but the JSON."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from io import TextIOWrapper
from typing import Any, TextIO

import click

_json_stream: TextIO | None = None


def echo_json(data: Any) -> None:
    """Write data as JSON on stdout."""
    click.echo(json.dumps(data, indent=2, default=str), file=_json_stream)


def prepare() -> None:
    """Let no name of a file (not UTF-8, or not of this terminal) end a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def discard() -> None:
    """Drop what cannot be written to stdout, so that the interpreter does not try again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr, _json_stream):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            number = _descriptor(stream)
            if number is not None:
                os.dup2(nowhere, number)


def _reserve_stdout(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    """Under `--json`, let only `echo_json` reach stdout: whatever else is printed goes to stderr.

    That holds for `print` in a plugin, and for what its libraries or the programs it calls write
    to file descriptor 1, which lasts until the process ends: C buffers are written only then.
    """
    global _json_stream
    if not value or ctx.resilient_parsing or sys.stdout is None:
        return value
    _json_stream = sys.stdout
    if _descriptor(sys.stdout) == 1:
        _json_stream = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding)
        os.dup2(_descriptor(sys.stderr) or os.open(os.devnull, os.O_WRONLY), 1)
    ctx.call_on_close(partial(setattr, sys, "stdout", sys.stdout))
    sys.stdout = sys.stderr
    return value


def _descriptor(stream: TextIO | None) -> int | None:
    try:
        return stream.fileno() if stream is not None else None
    except (OSError, ValueError):  # not a file: a test's, a notebook's
        return None


json_option = click.option(
    "--json", "as_json", is_flag=True, help="JSON on stdout.", callback=_reserve_stdout
)
