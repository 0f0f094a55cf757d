"""Files in the form of SVHN's, for tests to write."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from PIL import Image

SPLITS = ("train", "extra")
FIELDS = ("height", "label", "left", "top", "width")
# name, then (label, left, top, width, height) of each digit, as an annotator would see them.
ENTRIES = (
    ("1.png", [(1, 10, 4, 8, 20), (9, 19, 5, 9, 20)]),
    ("2.png", [(5, 3, 2, 10, 16)]),
    ("3.png", [(2, 4, 5, 6, 14), (1, 12, 6, 5, 14), (10, 18, 7, 7, 14)]),
    ("4.png", [(d, 5 * d, 3, 5, 12) for d in (1, 2, 3, 4, 5, 6)]),
    ("5.png", [(d, 5 * d, 3, 5, 12) for d in (9, 8, 7, 6, 5)]),
)


def write_mat(path: Path, entries, *, compact: bool = True, libver: str = "earliest") -> None:
    """A struct array as MATLAB 7.3 saves it: a number or a name to a data set, and references.

    One digit: its fields are values; several: lists of references to values.
    """
    plain = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if compact:
        plain.set_layout(h5py.h5d.COMPACT)
    with h5py.File(path, "w", userblock_size=512, libver=libver) as file:
        refs, top = file.create_group("#refs#"), file.create_group("digitStruct")

        def store(group, name: str, value: np.ndarray) -> h5py.Reference:
            space = h5py.h5s.create_simple(value.shape)
            kind = h5py.h5t.py_create(value.dtype, logical=True)
            created = h5py.h5d.create(group.id, name.encode(), kind, space, dcpl=plain)
            data = h5py.Dataset(created)
            data[...] = value
            data.attrs["MATLAB_class"] = np.bytes_("double")
            return data.ref

        columns: dict[str, list] = {"name": [], "bbox": []}
        for i, (name, digits) in enumerate(entries):
            letters = np.array([[ord(c)] for c in name], np.uint16)
            columns["name"].append(store(refs, f"n{i}", letters))
            box = refs.create_group(f"b{i}")
            box.attrs["MATLAB_class"] = np.bytes_("struct")  # its header now has two parts
            columns["bbox"].append(box.ref)
            for field in FIELDS:
                place = ("label", "left", "top", "width", "height").index(field)
                values = np.array([[float(d[place])] for d in digits])
                if len(digits) > 1:
                    values = np.array(
                        [[store(refs, f"v{i}{field}{k}", v[None])] for k, v in enumerate(values)],
                        h5py.ref_dtype,
                    )
                store(box, field, values)
        for key, column in columns.items():
            top.create_dataset(key, data=np.array(column, h5py.ref_dtype)[:, None])
    content = bytearray(path.read_bytes())
    content[:19] = b"MATLAB 7.3 MAT-file"
    path.write_bytes(content)


def make_images(folder: Path, names=("1.png", "2.png", "3.png", "4.png", "5.png"), seed=0) -> None:
    generator = np.random.default_rng(seed)
    for name in names:
        pixels = generator.integers(0, 256, (30, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
