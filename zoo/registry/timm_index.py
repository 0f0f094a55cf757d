"""The names of timm's architectures and their pretrained tags, without importing timm or torch.

The index of the version that the zoo is tested with comes with the zoo, in
`zoo/registry/timm_names/`. The index of another version is made once, by importing timm, and kept
in the user's cache.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

SHIPPED = Path(__file__).parent / "timm_names"


@cache
def architectures() -> Mapping[str, tuple[str, ...]]:
    """Every architecture of the installed timm with its tags, the default tag first."""
    installed = version("timm")
    for folder in (SHIPPED, cache_folder()):
        file = folder / f"{installed}.txt"
        if file.is_file():
            return _parse(file.read_text("utf-8"))
    text = build()
    _keep(cache_folder() / f"{installed}.txt", text)
    return _parse(text)


def cache_folder() -> Path:
    """The folder for what the zoo can make again: `ZOO_CACHE`, else in the user's cache folder."""
    root = os.environ.get("ZOO_CACHE") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "attention-zoo"


def build() -> str:
    """The index as text, one line `name tag tag ...` for each architecture. This imports timm."""
    import timm
    from timm.models import get_arch_pretrained_cfgs, is_model_in_modules

    lines: list[str] = []
    for name in sorted(timm.list_models(include_tags=False)):
        if is_model_in_modules(name, {"timm_bridge"}):  # the zoo's own, see zoo.timm_bridge
            continue
        found = get_arch_pretrained_cfgs(name).items()
        tags = [key.partition(".")[2] for key, cfg in found if cfg.hf_hub_id]
        lines.append(" ".join([name, *filter(None, tags)]))
    return "\n".join(lines) + "\n"


def _parse(text: str) -> Mapping[str, tuple[str, ...]]:
    rows = (line.split(" ") for line in text.splitlines() if line)
    return {row[0]: tuple(row[1:]) for row in rows}


def _keep(file: Path, text: str) -> None:
    """Write the index for the next time; a read-only home only costs the import again."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}.part")
        partial.write_text(text, "utf-8")
        partial.replace(file)
    except OSError:
        return
