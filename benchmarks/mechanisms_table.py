"""The table of benchmarks/mechanisms.py: what its record says, in Markdown."""

from __future__ import annotations

from typing import Any

HEAD = """\
# Speed and memory of mechanisms on maps

`OMP_NUM_THREADS=1 python benchmarks/mechanisms.py` measured this on one core of a shared {machine}
machine, torch {torch}, float32, and wrote it. *f* is forward in eval, *f+b* forward and backward in
training. *formula* is the published equations step by step with the same parameters, *timm* the
layer of that library with the same settings. Times are CPU milliseconds, medians; a ratio is the
median over rounds of theirs / ours, taken in turns: above 1 ours is faster, and within some 5% is
noise here. *× clone* is our forward time over that of `x.clone()`, one read and one write of the
map: the least a mechanism can take. Peak MiB is what torch's allocator held above the input.

"""
COLUMNS = (
    "mechanism", "batch", "f ms", "× clone", "f: formula", "f: timm", "f+b ms", "f+b: formula",
    "f+b: timm", "f MiB: ours", "formula", "timm", "f+b MiB: ours", "formula", "timm",
)  # fmt: skip
WHO = ("ours", "formula", "timm")


def table(record: dict[str, Any]) -> str:
    """The record as Markdown, one table for each shape."""
    text = HEAD.format(**record["setting"])
    shapes = sorted({shape for rows in record["rows"].values() for shape in rows})
    for shape in shapes:
        lines = [f"## (batch, {', '.join(shape.split('x'))})", ""]
        lines += [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
        for name, rows in sorted(record["rows"].items()):
            if shape in rows:
                lines.append(f"| {' | '.join(_cells(name, rows[shape]))} |")
        text += "\n".join(lines) + "\n\n"
    return text.rstrip() + "\n"


def _cells(name: str, row: dict[str, Any]) -> list[str]:
    f, b = row["forward"], row["backward"]
    return [
        f"`{name}`", str(row["batch"]),
        _number(f["ours_ms"]), f"{f['ours_ms'] / f['clone_ms']:.1f}", *_ratios(f),
        _number(b["ours_ms"]), *_ratios(b),
        *(_number(part.get(f"{key}_mib")) for part in (f, b) for key in WHO),
    ]  # fmt: skip


def _ratios(part: dict[str, Any]) -> list[str]:
    given = (part.get(f"{key}_ratio") for key in WHO[1:])
    return ["" if ratio is None else f"{ratio:.2f}" for ratio in given]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.1f}"
