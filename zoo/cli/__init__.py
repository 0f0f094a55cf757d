"""The `zoo` program. Each command is one short file, imported only when it is called."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, NoReturn

import click

from zoo.cli import output
from zoo.errors import ZooError, ZooWarning
from zoo.runtime.files import reason
from zoo.version import __version__

COMMANDS = {
    "list": "List models, attentions, backbones or recipes.",
    "info": "Show what is known of a model or an attention.",
    "sites": "List the places for attention in a model, your own too.",
    "eval": "Measure a model on a data set.",
    "verify": "Run reference cases against the zoo's mechanisms.",
    "compare": "Compare a backbone with each of several attentions, by paired runs.",
    "predict": "Name what is in images.",
    "train": "Fine-tune a model on images, or train it from a recipe.",
    "explain": "Draw what a model sees in images, and what it attends to.",
    "viz": "The old name of explain.",
    "plugins": "Show plugins, where they come from, and what is wrong with them.",
    "pull": "Download and verify a model's weights.",
    "export": "Export a model to ONNX, torch.export or TorchScript.",
    "convert": "Turn an authors' checkpoint into a file of the zoo.",
    "push": "Publish a model or a checkpoint on the Hub.",
    "cache": "List, verify or prune cached weights.",
    "weights": "List, add or check weights manifests.",
}

BACKBONE_WEIGHTS = "A file of the plain backbone's weights: a warm start, the attention untrained."
NUM_CLASSES = "Which the weights must have; default theirs."


class _LazyGroup(click.Group):
    """Finds a command's file by its name; asks plugins for theirs only when it must."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *sorted(plugin_commands())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            return import_module(f"zoo.cli.{cmd_name}").command
        return plugin_commands().get(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        others = sorted(plugin_commands().items())
        rows = [*COMMANDS.items(), *((n, c.get_short_help_str()) for n, c in others)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@cache
def plugin_commands() -> Mapping[str, click.Command]:
    """The commands that plugins add. Each plugin adds to a group of its own, so that none can
    replace another.
    """
    from zoo.registry import default_registry
    from zoo.registry.plugins import blame

    registry = default_registry()
    found: dict[str, click.Command] = {}
    for plugin in registry.loaded:
        group = click.Group()
        with blame(plugin, "zoo_commands failed"):
            plugin.call("zoo_commands", cli=group)
        for name, command in group.commands.items():
            if name in COMMANDS or name in found:
                plugin.problems.append(f"the command {name!r} is taken")
            else:
                found[name] = command
    registry.report()
    return found


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="zoo")
def cli() -> None:
    """A model zoo of visual attention: list, build, measure, verify, train, publish.

    Results go to stdout, messages and progress to stderr; --json gives JSON on stdout. Exit codes:
    0 done, 1 a failure, 2 a wrong call.
    """


def main() -> None:
    """Run the program. Errors of the zoo and the system become one message and an exit code."""
    warnings.showwarning = _show_warning
    output.prepare()
    try:
        cli()
    except ZooError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        _fail(reason(error), 1)


def _fail(message: str, code: int) -> NoReturn:
    try:
        click.echo(f"error: {message}", err=True)
    except OSError:  # nobody can be told but by the exit code
        pass
    output.discard()
    sys.exit(code)


_default_showwarning = warnings.showwarning


def _show_warning(message: Any, category: Any, *rest: Any, **more: Any) -> None:
    if issubclass(category, ZooWarning):
        click.echo(f"warning: {message}", err=True)
    else:
        _default_showwarning(message, category, *rest, **more)
