"""Fault x operation x cache, as a table: `python -m hub.matrix` (from the folder `tests`).

Each cell is what a user meets: `ok` (the right bytes), `ok, said` (a verified copy from the cache,
and a line that says so), an error of the project's own, or what must not be: `WRONG`, `raw ...`.
The last column is what the Hub client does alone, cold and then warm.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.client import Client
from hub.samples import NAME, fill, weights
from hub.server import Hub
from hub.store import sha256

FAULTS: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    ("corrupt", ("data",), {}), ("corrupt", ("data",), {"times": 1}),
    ("truncate", ("data",), {}), ("cut", ("data",), {"times": 1}),
    ("close", ("data",), {"times": 1}),
    ("stall", ("data",), {"times": 1}), ("reset", ("data",), {"times": 1}),
    ("long", ("data",), {}), ("html", ("data",), {}), ("html", ("info",), {}),
    ("html, no size", ("data",), {}),
    ("range", ("data",), {}), ("no_range", ("data",), {}),
    ("status", ("data",), {"status": 503}), ("status", ("info", "resolve"), {"status": 503}),
    ("status", ("info", "resolve"), {"status": 401}),
    ("status", ("info", "resolve"), {"status": 403}),
    ("status", ("info", "resolve"), {"status": 404}),
    ("status", ("info", "resolve", "data"), {"status": 429, "headers": {"Retry-After": "0"},
                                              "times": 1}),
    ("reset", ("info", "resolve"), {}), ("junk", ("info",), {}),
    ("stale_etag", ("resolve",), {}), ("hostile_etag", ("resolve",), {}),
    ("move", ("info", "resolve"), {"times": 1}),
]  # fmt: skip
OPERATIONS = ("cold", "warm", "warm, newer on the Hub", "damaged cache", "offline, damaged")


@dataclass
class Cell:
    fault: str
    operation: str
    outcome: str
    alone: str


def cells(faults: Any = tuple(FAULTS), operations: Any = OPERATIONS) -> Iterator[Cell]:
    """Run every cell, each on a fresh server and a fresh cache."""
    for kind, places, options in faults:
        for operation in operations:
            outcomes = [_cell(op, kind, places, options, operation) for op in ("pull", "bare")]
            times = f" x{options['times']}" if "times" in options else ""
            status = f" {options['status']}" if "status" in options else ""
            label = f"{kind}{status}{times} at {'+'.join(places)}"
            yield Cell(label, operation, *outcomes)


def _cell(op: str, kind: str, places: Any, options: Any, operation: str) -> str:
    with Hub() as hub, tempfile.TemporaryDirectory() as folder:
        client = Client(hub.endpoint, Path(folder) / "home")
        allowed = {sha256(weights(0))}
        fill(hub, 0)
        hub.moves.append((NAME, {"model.safetensors": weights(2)}))
        if operation != "cold":
            client.run(op, repository=NAME)
        if operation == "warm, newer on the Hub":
            fill(hub, 1)
            allowed = {sha256(weights(1))}
        if "damaged" in operation:
            _damage(client)
        if kind in ("range", "no_range"):
            hub.faults.add("close", "data", times=1)
        if kind.endswith(", no size"):
            hub.faults.add("no_size", "resolve")
        hub.faults.add(kind.partition(",")[0], *places, **options)
        env = {"HF_HUB_OFFLINE": "1"} if operation.startswith("offline") else {}
        deadline = {"deadline": 8} if op == "pull" else {}
        outcome = _outcome(client.run(op, env, repository=NAME, **deadline), allowed)
        outside = [path for path in Path(folder).rglob("*escaped*")]
        return "WRONG: left the cache" if outside else outcome


def _damage(client: Client) -> None:
    for blob in client.blobs_of(NAME):
        content = bytearray(blob.read_bytes())
        content[-1] ^= 1
        blob.write_bytes(content)


def _outcome(result: dict[str, Any], allowed: set[str]) -> str:
    if not result["ok"]:
        return f"raw {result['error']}" if result["raw"] else result["error"]
    known = {sha256(weights(seed)) for seed in range(3)}
    if result["sha256"] not in known:
        return "WRONG bytes"
    said = "using the cached copy" in result["stderr"]
    if result["sha256"] in allowed:
        return "ok, said" if said else "ok"
    return "old copy, said" if said else "WRONG: old copy"


def is_safe(outcome: str) -> bool:
    """Whether a user may meet this."""
    return not outcome.startswith(("WRONG", "raw"))


def main() -> None:
    widths = (32, 23, 22, 26)
    heads = ("fault", "operation", "zoo", "Hub client alone")
    print("  ".join(f"{head:<{width}}" for head, width in zip(heads, widths, strict=True)))
    bad = 0
    for cell in cells():
        row = (cell.fault, cell.operation, cell.outcome, cell.alone)
        print("  ".join(f"{text:<{w}}" for text, w in zip(row, widths, strict=True)), flush=True)
        bad += not is_safe(cell.outcome)
    print(f"{bad} cells that must not be")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
