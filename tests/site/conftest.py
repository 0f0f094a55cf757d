"""The generator of the site, as `python docs/build_site.py` imports it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "docs"))
