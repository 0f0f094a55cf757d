"""Which columns of a parquet file hold the images and the labels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from zoo.errors import DataError

_IMAGES = ("image", "img")
_LABELS = (
    "label", "labels", "fine_label", "class", "target", "cls", "category",
    "class_label", "class_id", "class_idx", "label_id", "category_id", "class_name", "label_name",
)  # fmt: skip


def features(schema: Any) -> Mapping[str, Any]:
    """What the library `datasets` has noted about the columns."""
    try:
        noted = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {k: v for k, v in noted.items() if isinstance(v, dict)}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def image_column(schema: Any, path: Path) -> str:
    """The column that is noted as images, or is called so, or is the only one of bytes."""
    noted = [name for name, f in features(schema).items() if f.get("_type") == "Image"]
    fits = [field.name for field in schema if _holds_bytes(field.type)]
    only = fits if len(fits) == 1 else []
    return _first((*_noted(noted, _IMAGES), *_IMAGES, *only), fits, "image column", schema, path)


def label_column(schema: Any, path: Path) -> str:
    """The column that is noted as classes or is called so. Other numbers may be anything."""
    noted = [name for name, f in features(schema).items() if f.get("_type") == "ClassLabel"]
    fits = [field.name for field in schema if _holds_labels(field.type)]
    return _first((*_noted(noted, _LABELS), *_LABELS), fits, "label column", schema, path)


def label_names(schema: Any, column: str) -> dict[int, str]:
    """The names that the library `datasets` has noted for a column of classes."""
    names = features(schema).get(column, {}).get("names")
    return dict(enumerate(map(str, names))) if isinstance(names, list) else {}


def label_kind(schema: Any, column: str) -> str:
    """Whether labels are a `"number"` or `"text"`."""
    return "number" if pa.types.is_integer(schema.field(column).type) else "text"


def check_alike(schema: Any, first: Any, columns: Sequence[str], path: Path) -> None:
    """Refuse a later file that says something else of the columns that are read.

    Raises:
        DataError: a column is absent, or its labels are of another kind or of other classes.
    """
    missing = [name for name in columns if name not in schema.names]
    if missing:
        raise DataError(
            f"there is no column {missing[0]!r} as in the first file, only "
            + ", ".join(schema.names),
            where=str(path),
            remedy="files of one split have the same columns",
        )
    image, label = columns
    if not _holds_bytes(schema.field(image).type) or not _holds_labels(schema.field(label).type):
        raise DataError("the columns are not of the first file's types", where=str(path))
    same = label_kind(schema, label) == label_kind(first, label)
    if not same or label_names(schema, label) != label_names(first, label):
        raise DataError("the labels are not of the first file's classes", where=str(path))


def _noted(names: Sequence[str], usual: Sequence[str]) -> Sequence[str]:
    """Of several columns that are noted, those of a usual name."""
    return names if len(names) == 1 else [name for name in usual if name in names]


def _holds_bytes(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _holds_labels(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _first(wanted: Sequence[str], fits: Sequence[str], what: str, schema: Any, path: Path) -> str:
    for name in wanted:
        if name in fits:
            return name
    raise DataError(
        f"no {what} among {', '.join(schema.names)}",
        where=str(path),
        remedy="columns `image` (struct of bytes and path) and `label` (integer or text) "
        "are expected",
    )
