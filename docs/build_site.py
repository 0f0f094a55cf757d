"""Write the pages of the site: `python docs/build_site.py`, then `mkdocs build --strict`.

`make docs` does both. The pages go to build/site/pages, which git ignores, and the site to
build/site/html. Nothing is fetched.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from website.write import everything

BUILD = Path(__file__).parents[1] / "build" / "site"


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the pages of the site.")
    parser.add_argument("--only", nargs="*", default=(), help="mechanisms; all by default")
    given = parser.parse_args()
    everything(BUILD / "pages", BUILD / "kept", only=given.only)


if __name__ == "__main__":
    main()
