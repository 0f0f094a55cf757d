"""Writes all pages into a folder, from which mkdocs builds the site."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from zoo.registry import default_registry

from . import (
    api,
    atlas,
    copied,
    drawings,
    gallery,
    home,
    mechanism_page,
    network_pages,
    records,
    studies,
    troubleshooting,
)
from .pictures.colours import css

HERE = Path(__file__).parent
Say = Callable[[str], None]


def everything(out: Path, kept: Path, only: Sequence[str] = (), say: Say = print) -> None:
    """Write the pages.

    Args:
        out: the folder; what is in it is removed first.
        kept: a folder for what need not be computed again.
        only: mechanisms to which pages and gallery are limited; all by default.
    """
    registry = default_registry()
    shutil.rmtree(out, ignore_errors=True)
    wanted = sorted(only or registry.attentions)
    say(f"{len(wanted)} mechanisms are run and drawn")
    found = drawings.kept(wanted, kept)
    say("reference cases are run")
    cases = {} if only else records.cases(kept / "cases.json")
    for name in wanted:
        spec = registry.attentions[name]
        text = mechanism_page.page(spec, found[name], cases.get(name, ()), registry)
        _write(out / "mechanisms" / f"{name}.md", text)
    _write(out / "mechanisms" / "index.md", gallery.page(found, registry))
    for name, model in registry.models.items():
        _write(out / "networks" / f"{name}.md", network_pages.page(model, registry))
    _write(out / "networks" / "index.md", network_pages.index(registry))
    _write(out / "atlas.md", atlas.page(registry, studies.sections()))
    _write(out / "troubleshooting.md", troubleshooting.page())
    for name, text in api.pages().items():
        _write(out / name, text)
    _copied(out, found)
    shutil.copytree(kept / "effects", out / "effects", dirs_exist_ok=True)
    _assets(out)


def _copied(out: Path, found: dict[str, drawings.Drawing]) -> None:
    pages = copied.sources()
    for name, page in pages.items():
        text, pictures = copied.page(name, pages)
        _write(out / page, home.page(text, found) if page == "index.md" else text)
        for picture in pictures:
            (out / picture).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(copied.ROOT / picture, out / picture)


def _assets(out: Path) -> None:
    shutil.copytree(HERE / "assets", out / "assets")
    shutil.copytree(
        HERE / "photographs", out / "photographs", ignore=shutil.ignore_patterns("*.md")
    )
    colours = f".scale .bar {{ background: {css()}; }}\n"
    (out / "assets" / "colours.css").write_text(colours, "utf-8")


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
