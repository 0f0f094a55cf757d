"""Small pieces of HTML that several pages have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from .equations import plain

SCROLLS = 'class="wide" tabindex="0" role="region" aria-label="table"'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """A table of cells that are HTML already; the last `numbers` columns are right-aligned."""
    first = len(head) - numbers
    kinds = ["" if i < first else ' class="number"' for i in range(len(head))]
    top = "".join(f'<th scope="col"{kind}>{h}</th>' for h, kind in zip(head, kinds, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{k}>{c}</td>" for c, k in zip(row, kinds, strict=True)) + "</tr>"
        for row in rows
    )
    parts = f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    return f'<div {SCROLLS}><table class="plain">{parts}</table></div>'


def chips(items: Iterable[tuple[str, str]]) -> str:
    """Facts in a row, each a label and a value; empty values are left out."""
    shown = (f'<span class="chip"><b>{escape(k)}</b> {plain(v)}</span>' for k, v in items if v)
    return f'<p class="chips">{"".join(shown)}</p>'


def count(number: int) -> str:
    """A large number as a reader says it: 8,564, 1.1 M, 6.4 G."""
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:,}"


def code(text: Any) -> str:
    """Code within a sentence."""
    return f"<code>{plain(str(text))}</code>"


def paper(found: Any) -> str:
    """A publication with its address; empty if there is none."""
    if found is None:
        return ""
    title = f"<i>{plain(found.title)}</i>"
    linked = f'<a href="{escape(found.url)}">{title}</a>' if found.url else title
    source = f"{found.venue} {found.year or ''}".strip()
    return ", ".join(filter(None, (linked, plain(found.authors), plain(source))))


def words(name: str) -> str:
    """A name with underscores as words."""
    return name.replace("_", " ")
