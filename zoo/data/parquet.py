"""Data sets in the Hub's parquet form: an image column of {bytes, path}, and a label column."""

from __future__ import annotations

import io
import json
import os
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from zoo.data.classes import class_indices
from zoo.data.splits import choose, is_split
from zoo.errors import DataError

_LABELS = ("label", "labels", "fine_label", "class", "target", "cls")


class Parquet:
    """Rows of `<split>-*.parquet` files: items are (PIL image, class index).

    Row groups are read when asked for and the last one is kept, so reading in order costs one pass
    and little memory.

    Args:
        root: a folder (its files may be in `data/`, or in a folder a split), or one file.
        split: the part of the files' names before the first `-`; default validation, test, train.
        num_classes: of the model; matters for labels that are strings only, see `class_indices`.

    Raises:
        DataError: no parquet files, no such split, no image or label column, broken files.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | None = None,
        num_classes: int | None = None,
    ) -> None:
        root = Path(root).expanduser()
        self.name = root.resolve().stem if root.is_file() else root.resolve().name
        by_split = _by_split(root)
        self.split = choose(tuple(by_split), split, root)
        self.files = by_split[self.split]
        schema = _read(self.files[0], lambda file: file.schema_arrow)
        self.image_column = _image_column(schema, self.files[0])
        self.label_column = _label_column(schema, self.files[0])
        self._groups = [g for i, path in enumerate(self.files) for g in _row_groups(i, path)]
        self._ends = list(accumulate(rows for _, _, rows in self._groups))
        if not self._ends or not self._ends[-1]:
            raise DataError("no rows in the parquet files", where=str(root))
        self.labels, self.num_classes = self._read_labels(schema, num_classes)
        self._cached: tuple[int, Any] | None = None

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        group = bisect_right(self._ends, index)
        start = self._ends[group - 1] if group else 0
        value = self._images(group)[index - start].as_py()
        content = value.get("bytes") if isinstance(value, Mapping) else value
        if not content:
            raise DataError("the row holds no image bytes")
        image = Image.open(io.BytesIO(content))
        image.load()
        return image, self.labels[index]

    def describe(self, index: int) -> str:
        group = bisect_right(self._ends, index)
        start = self._ends[group - 1] if group else 0
        return f"{self.files[self._groups[group][0]].name} row group {group} row {index - start}"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cached": None}

    def _images(self, group: int) -> Any:
        if self._cached is None or self._cached[0] != group:
            file, inner, _ = self._groups[group]
            self._cached = None
            table = _read(
                self.files[file],
                lambda f: f.read_row_group(inner, columns=[self.image_column], use_threads=False),
            )
            self._cached = group, table.column(self.image_column)
        return self._cached[1]

    def _read_labels(self, schema: Any, num_classes: int | None) -> tuple[list[int], int | None]:
        column, where = self.label_column, str(self.files[0].parent)
        values = [v for path in self.files for v in _labels(path, column)]
        if any(v is None or v == -1 for v in values):
            raise DataError(f"rows without a label in column {column!r}", where=where)
        if isinstance(values[0], str):
            indices, count = class_indices(values, num_classes, where)
            return [indices[v] for v in values], count
        names = _features(schema).get(column, {}).get("names")
        return [int(v) for v in values], len(names) if isinstance(names, list) else None


def find_files(root: Path) -> list[Path]:
    """Parquet files of a data set: in `root`, else one or two folders below."""
    if root.is_file():
        return [root]
    for pattern in ("*.parquet", "*/*.parquet", "*/*/*.parquet"):
        if found := sorted(p for p in root.glob(pattern) if not p.name.startswith(".")):
            return found
    return []


def _by_split(root: Path) -> dict[str, list[Path]]:
    files = find_files(root)
    if not files:
        raise DataError("no parquet files", where=str(root))
    splits: dict[str, list[Path]] = {}
    for path in files:
        splits.setdefault(_split_of(path), []).append(path)
    return splits


def _split_of(path: Path) -> str:
    stem = path.stem.split("-")[0]
    return path.parent.name if is_split(path.parent.name) and not is_split(stem) else stem


def _read(path: Path, what: Any) -> Any:
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            return what(file)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"cannot read the parquet file: {reason}", where=str(path)) from error


def _row_groups(index: int, path: Path) -> list[tuple[int, int, int]]:
    """(file, row group in it, rows)."""
    meta = _read(path, lambda file: file.metadata)
    return [(index, g, meta.row_group(g).num_rows) for g in range(meta.num_row_groups)]


def _labels(path: Path, column: str) -> Sequence[Any]:
    return _read(path, lambda f: f.read(columns=[column], use_threads=False))[column].to_pylist()


def _features(schema: Any) -> Mapping[str, Any]:
    """What the `datasets` library notes of the columns."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {k: v for k, v in features.items() if isinstance(v, dict)}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def _image_column(schema: Any, path: Path) -> str:
    noted = [n for n, f in _features(schema).items() if f.get("_type") == "Image"]
    fits = [field.name for field in schema if _holds_bytes(field.type)]
    return _first((*noted, "image", "img", *fits), fits, "image column", schema, path)


def _label_column(schema: Any, path: Path) -> str:
    noted = [n for n, f in _features(schema).items() if f.get("_type") == "ClassLabel"]
    fits = [f.name for f in schema if pa.types.is_integer(f.type) or pa.types.is_string(f.type)]
    integers = [f.name for f in schema if pa.types.is_integer(f.type)]
    only = integers if len(integers) == 1 else []
    known = [name for name in _LABELS if name in noted] + noted
    return _first((*known, *_LABELS, *only), fits, "label column", schema, path)


def _holds_bytes(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _first(wanted: Iterable[str], fits: Sequence[str], what: str, schema: Any, path: Path) -> str:
    for name in wanted:
        if name in fits:
            return name
    raise DataError(
        f"no {what} among {', '.join(schema.names)}",
        where=str(path),
        remedy="columns `image` (struct of bytes and path) and `label` (integer) are expected",
    )
