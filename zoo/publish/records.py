"""Records of `zoo eval`, which are the only source of metrics in what is published."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import ConfigError, UsageError

SIZE_LIMIT = 2**20  # bytes
MOST_SKIPPED = 0.01  # of the images that were read, in a figure of the whole split


def read(path: Path) -> dict[str, Any]:
    """Read and check a record: its `model`, `weights.sha256`, `data` and finite `metrics`.

    Raises:
        ConfigError: it is no record, or has a value that no measurement gives.
    """
    try:
        with path.open("rb") as file:
            record = json.loads(file.read(SIZE_LIMIT).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"the record cannot be read: {error}", where=str(path)) from None
    wrong = _fault(record)
    if wrong:
        raise ConfigError(
            f"not a record of an evaluation: {wrong}",
            where=str(path),
            remedy="zoo eval MODEL --data DATA --record FILE",
        )
    return record


def _fault(record: Any) -> str:
    parts = {"weights": dict, "data": dict, "metrics": dict, "model": str}
    if not isinstance(record, dict):
        return "it is not a table"
    for key, kind in parts.items():
        if not isinstance(record.get(key), kind) or not record[key]:
            return f"{key} is absent or of another kind"
    if not isinstance(record["weights"].get("sha256"), str):
        return "weights.sha256 is absent"
    if not isinstance(record["data"].get("name"), str) or not _is_count(record["data"]):
        return "data.name or data.count is absent"
    if not isinstance(record["data"].get("skipped") or 0, int | list):
        return "data.skipped is neither a number nor a list"
    bad = [key for key, value in record["metrics"].items() if not _is_metric(key, value)]
    return f"metrics.{bad[0]} = {record['metrics'][bad[0]]!r}" if bad else ""


def _is_count(data: Mapping[str, Any]) -> bool:
    count = data.get("count")
    return type(count) is int and count > 0


def _is_metric(key: Any, value: Any) -> bool:
    if type(value) not in (int, float) or not math.isfinite(value):
        return False
    return 0 <= value <= 100 or not is_accuracy(str(key))


def is_accuracy(key: str) -> bool:
    """Whether a metric is a share of what is right, in percent."""
    return key.startswith("top") or key.endswith("_accuracy")


def is_whole(record: Mapping[str, Any]) -> bool:
    """Whether the figures are those of the whole split.

    They are not if only its first images were measured, or if more than one image in a hundred
    could not be read.
    """
    data = record["data"]
    return not data.get("limit") and skipped(record) <= MOST_SKIPPED * data["count"]


def skipped(record: Mapping[str, Any]) -> int:
    """The number of images that could not be read."""
    found = record["data"].get("skipped") or 0
    return len(found) if isinstance(found, list | tuple) else found


def check(records: Sequence[Mapping[str, Any]], model: str, sha256: str) -> None:
    """Refuse records that are not of these very weights.

    Raises:
        UsageError: the message says what the record is of, and how to make one.
    """
    for record in records:
        found = record["weights"]["sha256"]
        if found != sha256:
            raise UsageError(
                f"the record is of {record['model']} with weights of sha256 {found}, what is "
                f"published is {model} with {sha256}: it backs no metric of this one",
                remedy=f"zoo eval {model} --weights FILE --record FILE",
            )
