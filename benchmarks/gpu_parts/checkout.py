"""A plain checkout as if it were installed, so that plugins are found by their entry points."""

from __future__ import annotations

import atexit
import runpy
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GROUP = "zoo.plugins"


def make_importable() -> None:
    """Put the checkout on the path, with what an installer would have written of it.

    Entry points are read from the metadata of a distribution. Here `pyproject.toml` states them, so
    a metadata folder of a name, a version and these entry points is made for this process.
    """
    scratch = tempfile.TemporaryDirectory(prefix="zoo-checkout-")
    atexit.register(scratch.cleanup)
    _write_metadata(Path(scratch.name))
    sys.path[:0] = [scratch.name, *(str(ROOT / part) for part in ("", "plugins", "weights"))]


def _write_metadata(folder: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    version = runpy.run_path(str(ROOT / "zoo" / "version.py"))["__version__"]
    name = project["name"]
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    points = [f"{key} = {value}" for key, value in project["entry-points"][GROUP].items()]
    (metadata / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *points]), "utf-8")
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (metadata / "METADATA").write_text(text, "utf-8")
