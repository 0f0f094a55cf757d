"""`zoo viz`: the old name of `zoo explain`."""

from __future__ import annotations

from zoo.cli.explain import command

__all__ = ["command"]
