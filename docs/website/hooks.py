"""What mkdocs calls: pages that the navigation does not name go into its guides or results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FOLDERS = {"": "Guides", "tutorials": "Guides", "benchmarks": "Results"}


def on_config(config: Any) -> Any:
    """Add each page that the navigation lacks to the part that its folder belongs to."""
    named = set(_pages(config.nav))
    for folder, part in FOLDERS.items():
        section = next(items[part] for items in config.nav if part in items)
        for file in sorted((Path(config.docs_dir) / folder).glob("*.md")):
            page = file.relative_to(config.docs_dir).as_posix()
            if page not in named:
                section.append(page)
    return config


def _pages(items: Any) -> list[str]:
    if isinstance(items, str):
        return [items]
    values = items.values() if isinstance(items, dict) else items
    return [page for value in values for page in _pages(value)]
