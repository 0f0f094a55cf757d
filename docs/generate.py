"""Write the tables of the documents from what the registry and the manifests state.

    python docs/generate.py            writes them
    python docs/generate.py --check    fails, and names the files, where they are out of date

docs/mechanisms.md is written as a whole. In the other documents a table stands between
`<!-- begin NAME -->` and `<!-- end NAME -->`, and only that is written.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import atlas_tables
import export_table
import mechanism_tables
import result_tables
import warm_tables

from zoo.registry import Registry, catalogue, default_registry
from zoo.runtime.files import write_atomically

ROOT = Path(__file__).parents[1]
WHOLE = {
    "docs/mechanisms.md": mechanism_tables.mechanisms,
    "docs/exportable.md": export_table.exportable,
}
CLAIM = """\
- **{all} attention mechanisms** stand behind one interface, each with its paper.
- **{inserted}** of them go by name into a pretrained timm backbone **without moving a logit**.
- **{cases}** reproduce recorded outputs, and nearly always gradients too: {authors} those of their
  authors' code, {independent} those of independent code, {equations} those of the equations written
  out. The other {others} are tested against their papers' equations.
"""
BLOCK = re.compile(r"(<!-- begin ([\w-]+) -->\n)(.*?)(<!-- end \2 -->)", re.DOTALL)


def claim(registry: Registry) -> str:
    """How many mechanisms there are, and what they were checked against."""
    specs = registry.attentions.values()
    by_cases = [s.provenance for s in specs if s.provenance.verified == "cases"]
    whose = Counter(p.reference for p in by_cases)
    authors = whose.pop("authors") + whose.pop("transcribed")
    inserted = sum(catalogue.goes_into_backbones(spec) for spec in specs)
    return CLAIM.format(
        all=len(specs),
        inserted=inserted,
        cases=len(by_cases),
        authors=authors,
        others=len(specs) - len(by_cases),
        **whose,
    )


def families(registry: Registry) -> str:
    """The families, with the number of mechanisms and a link."""
    counts = Counter(spec.family for spec in registry.attentions.values())
    links = [f"[{_words(f)}](docs/mechanisms.md#{f.replace('_', '-')}) {n}" for f, n in
             sorted(counts.items())]  # fmt: skip
    return " · ".join(links) + "\n"


def _words(family: str) -> str:
    return family.replace("_", " ")


def contents(registry: Registry) -> str:
    """What is in the zoo, in numbers."""
    weights = Counter(spec.kind for spec in registry.weights.values())
    specs = registry.attentions.values()
    inserted = sum(catalogue.goes_into_backbones(spec) for spec in specs)
    backbones = len(catalogue.list_backbones())
    rows = [
        ("attention mechanisms", f"{len(specs)}", "[docs/mechanisms.md](docs/mechanisms.md)"),
        (
            "of these, for any backbone that can take them", f"{inserted}",
            "[benchmarks/composition.md](benchmarks/composition.md)",
        ),
        ("backbones, timm's among them", f"{backbones:,}", "`zoo list --backbones`"),
        (
            "models with names of their own", f"{len(registry.models)}",
            "[docs/mechanisms.md](docs/mechanisms.md#named-models)",
        ),
        (
            "weights, trained as a whole",
            f"{weights['bundled']} bundled, {weights['published']} published",
            "[docs/weights.md](docs/weights.md)",
        ),
        ("data sets", f"{len(registry.datasets)}", "[docs/evaluation.md](docs/evaluation.md)"),
    ]  # fmt: skip
    return mechanism_tables.table(("what", "how many", "more"), rows)


BLOCKS: dict[str, Callable[[Registry], str]] = {
    "atlas-attentions": atlas_tables.attentions,
    "atlas-placements": atlas_tables.placements,
    "claim": claim,
    "contents": contents,
    "families": families,
    "results": result_tables.short,
    "results-by-rollouts": result_tables.by_rollouts,
    "results-in-one-pass": result_tables.in_one_pass,
    "results-from-anywhere": result_tables.from_anywhere,
    "one-pass": result_tables.one_pass,
    "overlaps": result_tables.overlaps,
    "warm-starts": warm_tables.measured,
    "warm-starts-in-numbers": warm_tables.summary,
}


def documents(registry: Registry) -> dict[str, tuple[str, str]]:
    """Each document that has something generated: its text as it is, and as it should be."""
    found = {name: (_read(name), write(registry)) for name, write in WHOLE.items()}
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        name = path.relative_to(ROOT).as_posix()
        text = _read(name)
        if name not in WHOLE and BLOCK.search(text):
            found[name] = text, BLOCK.sub(lambda m: _filled(m, registry), text)
    return found


def _filled(match: re.Match[str], registry: Registry) -> str:
    begin, name, _, end = match.groups()
    return f"{begin}{BLOCKS[name](registry)}{end}"


def _read(name: str) -> str:
    file = ROOT / name
    return file.read_text("utf-8") if file.exists() else ""


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the tables of the documents.")
    parser.add_argument("--check", action="store_true", help="only say which are out of date")
    check = parser.parse_args().check
    stale = {n: new for n, (old, new) in documents(default_registry()).items() if old != new}
    for name, text in stale.items():
        print(f"{name} is out of date: run python docs/generate.py" if check else name)
        if not check:
            write_atomically(ROOT / name, text.encode())
    if check and stale:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
