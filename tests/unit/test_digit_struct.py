"""SVHN's `digitStruct.mat`: read quickly, whatever the layout, and damage is one error."""

from __future__ import annotations

import sys
import time

import h5py
import numpy as np
import pytest
from svhn_files import ENTRIES, write_mat
from zoo_plugins.datasets.house_numbers import digit_struct
from zoo_plugins.datasets.house_numbers.digit_struct import read_digit_struct

from zoo.errors import DataError


class TestDigitStruct:
    @pytest.mark.parametrize(
        ("options", "quick"),
        [({}, True), ({"compact": False}, True), ({"libver": "latest"}, False)],
    )
    def test_it_is_read_whatever_the_layout(self, tmp_path, options, quick, monkeypatch):
        path = tmp_path / "digitStruct.mat"
        write_mat(path, ENTRIES, **options)
        slow = []
        real = digit_struct._slowly
        monkeypatch.setattr(digit_struct, "_slowly", lambda *a: slow.append(1) or real(*a))
        content = read_digit_struct(path)
        assert content.names == tuple(name for name, _ in ENTRIES)
        assert content.counts.tolist() == [2, 1, 3, 6, 5]
        assert content.values.tolist() == [list(d) for _, digits in ENTRIES for d in digits]
        assert content.starts.tolist() == [0, 2, 3, 6, 12]
        assert bool(slow) != quick

    @pytest.mark.long
    def test_both_ways_of_reading_agree(self, tmp_path):
        generator = np.random.default_rng(1)
        entries = [
            (f"{i}.png", generator.integers(1, 11, (generator.integers(1, 7), 5)).tolist())
            for i in range(300)
        ]
        path = tmp_path / "digitStruct.mat"
        write_mat(path, entries)
        content = read_digit_struct(path)
        with h5py.File(path) as file:
            columns = (file[f"digitStruct/{key}"][:, 0] for key in ("name", "bbox"))
            other = digit_struct._slowly(file, *columns)
        assert other.names == content.names and np.array_equal(other.counts, content.counts)
        assert np.array_equal(other.values, content.values)

    def test_changed_bytes_are_an_error_of_the_project_or_harmless(self, tmp_path):
        path = tmp_path / "digitStruct.mat"
        write_mat(path, ENTRIES)
        whole = path.read_bytes()
        generator = np.random.default_rng(0)
        refused = 0
        for place in generator.choice(len(whole), 150, replace=False):
            changed = bytearray(whole)
            changed[place] ^= int(generator.integers(1, 256))
            path.write_bytes(changed)
            try:
                content = read_digit_struct(path)
            except DataError:
                refused += 1
            else:
                assert len(content.counts) == len(content) and content.values.shape[1] == 5
        assert refused

    @pytest.mark.parametrize("damage", ["absent", "text", "half", "empty", "other", "no field"])
    def test_what_is_no_digit_struct_is_one_error(self, tmp_path, damage):
        path = tmp_path / "digitStruct.mat"
        write_mat(path, ENTRIES)
        content = path.read_bytes()
        if damage == "other":
            with h5py.File(path, "w") as file:
                file["digits"] = 1
        elif damage == "no field":
            with h5py.File(path, "a") as file:
                del file["#refs#/b3/top"]
        elif damage == "absent":
            path.unlink()
        else:
            damaged = {"text": b"not a file of MATLAB", "half": content[:3000], "empty": b""}
            path.write_bytes(damaged[damage])
        with pytest.raises(DataError, match="digitStruct") as caught:
            read_digit_struct(path)
        assert str(path) in str(caught.value)

    def test_without_h5py_the_error_says_what_to_install(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "h5py", None)
        with pytest.raises(DataError, match=r"attention-zoo\[svhn\]"):
            read_digit_struct(tmp_path / "digitStruct.mat")

    @pytest.mark.slow
    def test_thousands_of_entries_take_seconds(self, tmp_path):
        """A tenth of the training set, in a tenth of ten seconds."""
        entries = [(f"{i}.png", [(1, 2, 3, 4, 5), (6, 7, 8, 9, 10)]) for i in range(3340)]
        write_mat(tmp_path / "digitStruct.mat", entries)
        start = time.process_time()
        content = read_digit_struct(tmp_path / "digitStruct.mat")
        assert len(content) == 3340 and content.values[-1].tolist() == [6, 7, 8, 9, 10]
        assert time.process_time() - start < 1
