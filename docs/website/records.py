"""What was measured and recorded: speed, reference cases, composition, exports."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "reference"


@cache
def read(name: str) -> Any:
    """A JSON record of `benchmarks/`; an empty one if it is absent."""
    file = ROOT / "benchmarks" / name
    return json.loads(file.read_bytes()) if file.exists() else {}


def speed(name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What was measured of a mechanism by size of map, and on what machine."""
    record = read("mechanisms.json")
    return record.get("rows", {}).get(name, {}), record.get("setting", {})


def backbones(name: str) -> Mapping[str, str]:
    """Of each backbone with which the mechanism was tried, how that ended."""
    record = read("composition.json")
    found = {backbone: pairs[name] for backbone, pairs in record.items() if name in pairs}
    return {b: v if isinstance(v, str) else json.dumps(v) for b, v in found.items()}


def cases(kept: Path) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The results of the reference cases by mechanism, run now, or kept from a run of equal code.

    Args:
        kept: the file of results; it is written after a run.
    """
    key = digest((ROOT / "zoo", ROOT / "plugins" / "zoo_plugins", CASES))
    if kept.exists() and (found := json.loads(kept.read_bytes())).get("key") == key:
        return found["cases"]
    from zoo.reference import verify

    rows: dict[str, list[Any]] = defaultdict(list)
    for result in verify([CASES]):
        rows[result.mechanism].append(asdict(result))
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"key": key, "cases": rows}))
    return rows


def digest(folders: Iterable[Path]) -> str:
    """Of all code and cases in some folders: what was computed with these need not be again."""
    found = hashlib.sha256()
    for folder in folders:
        for file in sorted(f for f in folder.rglob("*") if f.suffix in (".py", ".safetensors")):
            found.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return found.hexdigest()
