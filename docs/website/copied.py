"""The project's own Markdown files as pages: their links lead to pages, or name files."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Where a file becomes a page of another name than its own.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "docs/mechanisms.md": "table.md",
}
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
PICTURES = (".png", ".jpg", ".gif", ".svg")


def sources() -> dict[str, str]:
    """Each Markdown file that becomes a page, and that page."""
    found = [*PAGES, *(_names("docs")), *(_names("docs/tutorials")), *(_names("benchmarks"))]
    return {name: PAGES.get(name, name.removeprefix("docs/")) for name in dict.fromkeys(found)}


def _names(folder: str) -> list[str]:
    return [f.relative_to(ROOT).as_posix() for f in sorted((ROOT / folder).glob("*.md"))]


def page(name: str, pages: dict[str, str]) -> tuple[str, set[str]]:
    """The text of a file as a page, and the pictures that it shows."""
    text, shown = (ROOT / name).read_text("utf-8"), set[str]()
    parts = re.split(r"(^```.*?^```)", text, flags=re.DOTALL | re.MULTILINE)

    def linked(match: re.Match[str]) -> str:
        mark, label, link = match.groups()
        target, _, anchor = link.partition("#")
        if ":" in link or not target:
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        if path.endswith(PICTURES):
            shown.add(path)
            return f"{mark}[{label}]({_relative(path, pages[name])})"
        if path in pages:
            to = _relative(pages[path], pages[name]) + (f"#{anchor}" if anchor else "")
            return f"{mark}[{label}]({to})"
        return label if label.startswith("`") or path in label else f"{label} (`{path}`)"

    parts = [p if p.startswith("```") else LINK.sub(linked, p) for p in parts]
    return "".join(parts), shown


def _relative(path: str, page: str) -> str:
    return posixpath.relpath(path, posixpath.dirname(page) or ".")
