"""Data sets in the Hub's parquet form: a column of images {bytes, path} and one of labels."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from zoo.data.classes import class_indices
from zoo.data.parquet_columns import (
    check_alike,
    image_column,
    label_column,
    label_kind,
    label_names,
)
from zoo.data.parquet_files import files_by_split
from zoo.data.splits import choose
from zoo.errors import DataError

KEPT = 256 * 2**20  # bytes of row groups that a process keeps


class Parquet:
    """Rows of `<split>-*.parquet` files: items are (PIL image, class index).

    Row groups are read when asked for and the latest are kept, up to `KEPT` bytes, so that reading
    in order costs one pass. A larger data set has `blocks`, which says for each row in which row
    group it is: training then shuffles rows among some groups at a time.

    `class_names` has the names of the classes by index; `numbered` is whether the labels are
    numbers, else they are text.

    Args:
        root: a folder (its files may be in `data/`, or in a folder a split), or one file.
        split: as the files' names have it, see `files_by_split`; default validation, test, train.
        num_classes: of the model; matters for labels that are text only, see `class_indices`.

    Raises:
        DataError: no parquet files, no such split, several configurations, no image or label
        column, files that differ in these, broken files.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | None = None,
        num_classes: int | None = None,
    ) -> None:
        root = Path(root).expanduser()
        self.name = root.resolve().stem if root.is_file() else root.resolve().name
        by_split = files_by_split(root)
        self.split = choose(tuple(by_split), split, root)
        self.files = by_split[self.split]
        schema = self._read_columns()
        self._groups = [g for i, path in enumerate(self.files) for g in _row_groups(i, path)]
        self._ends = list(accumulate(rows for _, _, rows in self._groups))
        if not self._ends or not self._ends[-1]:
            raise DataError("no rows in the parquet files", where=str(root))
        self.labels, self.num_classes = self._read_labels(schema, num_classes)
        self.blocks = self._blocks()
        self._kept: dict[int, Any] = {}

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
        return {**self.__dict__, "_kept": {}}

    def _images(self, group: int) -> Any:
        if group in self._kept:
            self._kept[group] = self._kept.pop(group)  # the latest
            return self._kept[group]
        file, inner, _ = self._groups[group]
        table = _read(
            self.files[file],
            lambda f: f.read_row_group(inner, columns=[self.image_column], use_threads=False),
        )
        column = table.column(self.image_column)
        while (
            self._kept and sum(each.nbytes for each in self._kept.values()) + column.nbytes > KEPT
        ):
            self._kept.pop(next(iter(self._kept)))
        self._kept[group] = column
        return column

    def _blocks(self) -> NDArray[np.int64] | None:
        """The row group of each row; None if all of them are kept at once."""
        if sum(path.stat().st_size for path in self.files) <= KEPT:
            return None
        return np.repeat(np.arange(len(self._groups)), [rows for _, _, rows in self._groups])

    def _read_columns(self) -> Any:
        """Choose the columns by the first file, whose schema is returned; the others have them."""
        first, *others = (_read(path, lambda file: file.schema_arrow) for path in self.files)
        self.image_column = image_column(first, self.files[0])
        self.label_column = label_column(first, self.files[0])
        for schema, path in zip(others, self.files[1:], strict=True):
            check_alike(schema, first, (self.image_column, self.label_column), path)
        return first

    def _read_labels(self, schema: Any, num_classes: int | None) -> tuple[list[int], int | None]:
        column, where = self.label_column, str(self.files[0].parent)
        values = [v for path in self.files for v in _labels(path, column)]
        if any(v is None or v == -1 for v in values):
            raise DataError(f"rows without a label in column {column!r}", where=where)
        self.numbered = label_kind(schema, column) == "number"
        if not self.numbered:
            indices, count = class_indices(values, num_classes, where)
            self.class_names = {index: name for name, index in indices.items()}
            return [indices[v] for v in values], count
        self.class_names = label_names(schema, column)
        return [int(v) for v in values], len(self.class_names) or None


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
