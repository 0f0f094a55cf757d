"""`--untrained` of the commands that can do without weights."""

from __future__ import annotations

from collections.abc import Mapping

from zoo.errors import UsageError


def check_untrained(model: str, weights: Mapping[str, object]) -> None:
    """Random weights were asked for: then nothing else may name weights.

    Raises:
        UsageError: an option does, or the model is a folder or a file, which has its own.
    """
    from zoo.build.saved import is_saved
    from zoo.registry import default_registry

    named = [f"--{name.replace('_', '-')}" for name, value in weights.items() if value]
    if named:
        raise UsageError(f"--untrained and {named[0]} exclude each other")
    if is_saved(model, default_registry()):
        raise UsageError(f"--untrained: {model} has weights of its own", remedy="leave it out")
