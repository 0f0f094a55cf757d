"""`zoo list`: what there is, as plain text, without torch."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import click

from zoo.cli import complete
from zoo.cli.output import echo_json, json_option
from zoo.errors import UnknownNameError, UsageError
from zoo.registry import catalogue, default_registry, names
from zoo.registry.recipes import makes, summary_of
from zoo.registry.specs import ROLES


@click.command()
@click.argument("pattern", default="*", shell_complete=complete.names)
@click.option("--attentions", "what", flag_value="attentions", help="List attention mechanisms.")
@click.option("--backbones", "what", flag_value="backbones", help="List backbones.")
@click.option("--recipes", "what", flag_value="recipes", help="List recipes of zoo train.")
@click.option("--composed", is_flag=True, help="Models: every attention in every backbone too.")
@click.option("--pretrained", is_flag=True, help="Only those with trained weights of their own.")
@click.option("--family", default="", help="Only models or attentions of this family.",
              shell_complete=complete.families)  # fmt: skip
@json_option
def command(
    pattern: str, what: str | None, composed: bool, pretrained: bool, family: str, as_json: bool
) -> None:
    """List what matches PATTERN: as in a shell ("*cbam*"), else a name or a part of names.

    Named models by default. Any attention goes by name into any backbone that can take it:
    <attention>_<backbone>, as in eca_convnext_tiny; without trained weights of their own, these
    start from the backbone's. --attentions says of each its family, role, what it is, and where it
    was published; --recipes its data, the epochs of each stage, the weights it makes, and the first
    sentence of its notes.
    """
    what = what or "models"
    _check(what, composed, pretrained, family)
    attentions = partial(catalogue.list_attentions, family=family)
    find: dict[str, Callable[[str], list[str]]] = {
        "models": partial(
            catalogue.list_models, pretrained=pretrained, family=family, composed=composed
        ),
        "attentions": attentions,
        "backbones": partial(catalogue.list_backbones, pretrained=pretrained),
        "recipes": catalogue.list_recipes,
    }
    found = _found(find[what], pattern)
    alike = what == "models" and pattern not in ("*", "") and not (family or pretrained)
    others = _near(attentions, pattern) if alike else []
    if as_json:
        echo_json(found or others)
        return
    _show(found, what)
    if others and not found:
        click.echo(f"no model of its own matches {pattern!r}; these attentions do:", err=True)
        _show(others, "attentions")
    elif others:
        shown = ", ".join(others[:8]) + (", ..." if len(others) > 8 else "")
        click.echo(f"attentions that match, too: {shown}", err=True)
    elif not found:
        click.echo(f"nothing matches {pattern!r}{_hint(pattern)}", err=True)


def _check(what: str, composed: bool, pretrained: bool, family: str) -> None:
    """Refuse options that say nothing of what is listed, and families that there are not."""
    lost = {
        "--composed": composed and what != "models",
        "--pretrained": pretrained and what in ("attentions", "recipes"),
        "--family": family and what in ("backbones", "recipes"),
    }
    for option in (option for option, given in lost.items() if given):
        raise UsageError(f"{option} says nothing of {what}", remedy=f"zoo list --{what}")
    known = catalogue.families(attentions=what == "attentions") if family else []
    if family and family not in known:
        raise UnknownNameError(
            f"no {what} are of a family {family!r}{names.did_you_mean(family, known)}",
            remedy=f"--family {' | '.join(known)}",
        )


def _found(find: Callable[[str], list[str]], pattern: str) -> list[str]:
    """Names of a shell's pattern; where that is plain text, those that are it or contain it."""
    return find(pattern) or _near(find, pattern)


def _near(find: Callable[[str], list[str]], pattern: str) -> list[str]:
    is_plain = not re.search(r"[*?\[]", pattern)
    return find(f"*{pattern.lower()}*" if is_plain else pattern)


def _show(found: list[str], what: str) -> None:
    rows = {"attentions": _rows, "recipes": _recipes}.get(what, list[str])
    if found:
        click.echo("\n".join(rows(found)))


def _recipes(found: list[str]) -> list[str]:
    registry = default_registry()
    specs = [registry.recipes[name] for name in found]
    cells: list[tuple[str, ...]] = []
    for spec in specs:
        data, epochs, sentence = summary_of(spec)
        made = ", ".join(makes(spec, registry)) or "-"
        cells.append((spec.name, data, f"{epochs} epochs", made, sentence))
    return _aligned(cells)


def _rows(found: list[str]) -> list[str]:
    registry = default_registry()
    specs = [registry.attentions[name] for name in found]
    cells: list[tuple[str, ...]] = []
    for spec in specs:
        paper = spec.provenance.paper
        source = f"{paper.venue} {paper.year or ''}".strip() if paper else ""
        line = "; ".join(filter(None, (catalogue.summary_of(spec, registry), source)))
        cells.append((spec.name, spec.family, ROLES[spec.insertion.role], line))
    return _aligned(cells)


def _aligned(cells: list[tuple[str, ...]]) -> list[str]:
    """Rows whose columns stand below each other, but for the last, which is as long as it is."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)][:-1]
    return [
        "  ".join([*(f"{c:<{w}}" for c, w in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in cells
    ]


def _hint(pattern: str) -> str:
    registry = default_registry()
    known = (*registry.attentions, *registry.aliases, *registry.models)
    return names.did_you_mean(pattern[: names.LONGEST], known)
