"""Options with one number for each channel, `--mean 0.5 0.5 0.5`, as timm's scripts take them."""

from __future__ import annotations

from typing import Any

import click


class Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers with spaces or commas between them."""

    name = "numbers"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(number) for number in value.replace(",", " ").split())
        except ValueError:
            self.fail(f"{value!r} is not a number for each channel", param, ctx)


class CommandWithNumbers(click.Command):
    """A command whose options of type `Numbers` take all numbers that follow them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        names = [n for p in self.params if isinstance(p.type, Numbers) for n in p.opts]
        return super().parse_args(ctx, _joined(args, names))


def _joined(args: list[str], names: list[str]) -> list[str]:
    joined: list[str] = []
    taking = False
    for argument in args:
        if taking and joined[-1] not in names and _is_number(argument):
            joined[-1] += f" {argument}"
        else:
            taking = argument in names or (taking and joined[-1] in names)
            joined.append(argument)
    return joined


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
