"""What a safetensors file may be: accepted exactly where the reference reader accepts it."""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save, save_file

from zoo.errors import CorruptWeightsError, WeightsNotFoundError
from zoo.hub import local_file
from zoo.weights.safetensors_file import DTYPES, inspect, tensors


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))


def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "conv.weight": torch.randn(8, 3, 3, 3),
        "half": torch.randn(5).half(),
        "brain": torch.randn(7).bfloat16(),
        "steps": torch.tensor(7),
        "mask": torch.tensor([True, False, True]),
        "empty": torch.zeros(0, 4),
        "scalar": torch.tensor(1.5),
        "float8": torch.randn(3).to(torch.float8_e4m3fn),
        "complex": torch.randn(3, dtype=torch.complex64),
    }


def raw(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype: str = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_tensors_equal_those_of_the_reference_reader(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file(state(), path, metadata={"format": "pt"})
    with local_file(path) as file:
        assert inspect(file).metadata == {"format": "pt"}
        found = tensors(file)
    expected = load_file(path)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype and found[name].shape == value.shape
        assert found[name].view(-1).view(torch.uint8).equal(value.view(-1).view(torch.uint8)), name


def test_every_dtype_is_one_of_torch() -> None:
    for size, name in DTYPES.values():
        assert torch.empty(0, dtype=getattr(torch, name)).element_size() == size


def test_tensors_are_mapped_not_copied_and_writing_stays_private(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    content = save({"a": torch.zeros(2_000_000), "b": torch.ones(3)})
    path.write_bytes(content)
    with local_file(path) as file:
        tensors(file)  # the first reading looks for NaN
        before = anonymous_memory()
        found = tensors(file)
        assert anonymous_memory() - before < 1_000_000
    assert found["a"].untyped_storage().nbytes() == 8_000_000
    found["a"].add_(1)
    assert path.read_bytes() == content


def anonymous_memory() -> int:
    rows = Path("/proc/self/status").read_text().splitlines()
    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith("RssAnon"))


def test_a_file_put_in_its_place_afterwards_does_not_matter(tmp_path: Path) -> None:
    path, other = tmp_path / "x.safetensors", tmp_path / "other"
    save_file({"a": torch.zeros(1000)}, path)
    save_file({"a": torch.ones(1000)}, other)
    with local_file(path) as file:
        os.replace(other, path)
        found = tensors(file)
    assert found["a"].eq(0).all()


def test_a_file_cut_short_after_it_was_hashed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(1000)}, path)
    with local_file(path) as file:
        os.truncate(path, 200)
        with pytest.raises(CorruptWeightsError):
            tensors(file)


def test_misaligned_data_is_read(tmp_path: Path) -> None:
    header = {"a": entry("U8", (1,), (0, 1)), "b": entry("F32", (2,), (1, 9))}
    path = tmp_path / "x.safetensors"
    path.write_bytes(raw(header, b"\7" + np.array([1, 2], "<f4").tobytes()))
    with local_file(path) as file:
        assert tensors(file)["b"].tolist() == [1, 2]


GOOD = entry()
EIGHT = b"\0" * 8
BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "seven bytes": b"\0" * 7,
    "html": b"<!doctype html><html><body>Log in</body></html>",
    "text": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "pickle": pickle.dumps({"a": 1}, protocol=2),
    "zip": b"PK\x03\x04" + b"\0" * 40,
    "header longer than the file": raw(b"{}", length=1000),
    "header of 2**63 bytes": raw(b"{}", length=2**63),
    "header of no bytes": raw(b"{}", length=0),
    "header too long": raw(b"{" + b" " * 2**21 + b"}"),
    "not JSON": raw(b"{'a': 1}"),
    "not UTF-8": raw(b'{"\xff": 1}'),
    "a list": raw(b"[]"),
    "deep": raw(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    "a key twice": raw(b'{"a":%s,"a":%s}' % ((json.dumps(GOOD).encode(),) * 2), EIGHT),
    "NaN in the header": raw(b'{"a": NaN}'),
    "a number of 5000 digits": raw(b'{"a": %s}' % (b"9" * 5000)),
    "entry is a number": raw({"a": 1}),
    "no dtype": raw({"a": {"shape": [2], "data_offsets": [0, 8]}}, EIGHT),
    "more keys": raw({"a": {**GOOD, "path": "/etc/passwd"}}, EIGHT),
    "unknown dtype": raw({"a": entry("F33")}, EIGHT),
    "dtype is a list": raw({"a": {**GOOD, "dtype": []}}, EIGHT),
    "negative size": raw({"a": entry(shape=(-2,))}, EIGHT),
    "shape of floats": raw({"a": entry(shape=(2.0,))}, EIGHT),
    "shape of flags": raw({"a": entry(shape=(True, 2))}, EIGHT),
    "huge shape": raw({"a": entry(shape=(2**62, 4))}, EIGHT),
    "huge shape of no bytes": raw({"a": entry(shape=(0, 2**70), offsets=(0, 0))}),
    "many dimensions": raw({"a": entry(shape=(1,) * 1000 + (2,))}, EIGHT),
    "size and offsets disagree": raw({"a": entry(shape=(3,))}, EIGHT),
    "offsets backwards": raw({"a": entry(offsets=(8, 0))}, EIGHT),
    "one offset": raw({"a": entry(offsets=(0,))}, EIGHT),
    "offsets beyond the end": raw({"a": entry(shape=(4,), offsets=(0, 16))}, EIGHT),
    "offsets past 2**64": raw({"a": entry(offsets=(2**64, 2**64 + 8))}, EIGHT),
    "a gap": raw({"a": entry(), "b": entry(offsets=(12, 20))}, b"\0" * 20),
    "an overlap": raw({"a": entry(), "b": entry(offsets=(4, 12))}, b"\0" * 12),
    "bytes after the end": raw({"a": GOOD}, EIGHT + b"x"),
    "truncated data": raw({"a": GOOD}, b"\0" * 7),
    "metadata of numbers": raw({"__metadata__": {"a": 1}, "b": GOOD}, EIGHT),
    "metadata is a list": raw({"__metadata__": [], "b": GOOD}, EIGHT),
}
STRICTER = {
    "header too long",
    "more keys",
    "many dimensions",
    "a key twice",
    "huge shape of no bytes",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_by_one_clear_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(BROKEN[name])
    with local_file(path) as file, pytest.raises(CorruptWeightsError) as caught:
        inspect(file)
    assert str(path) in str(caught.value)
    if name not in STRICTER:
        with pytest.raises(SafetensorError), safe_open(path, "np"):
            pass


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64]
)
def test_values_that_are_not_finite_are_refused(
    tmp_path: Path, bad: float, dtype: torch.dtype
) -> None:
    path = tmp_path / "x.safetensors"
    value = torch.ones(100, dtype=dtype)
    value[57] = bad
    save_file({"ok": torch.ones(3), "layer.weight": value}, path)
    for _ in range(2):
        with local_file(path) as file, pytest.raises(CorruptWeightsError, match="layer.weight"):
            tensors(file)


def test_a_verdict_is_not_inherited_by_changed_content(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    content = bytearray(save({"a": torch.ones(1000)}))
    path.write_bytes(content)
    with local_file(path) as file:
        tensors(file)
        digest = file.sha256
    stat = path.stat()
    content[-4:] = struct.pack("<f", float("nan"))
    with path.open("r+b") as same_inode:
        same_inode.write(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with local_file(path) as file, pytest.raises(CorruptWeightsError):
        assert file.sha256 != digest
        tensors(file)


@pytest.mark.parametrize("kind", ["absent", "folder", "pipe", "nul", "loop"])
@pytest.mark.timeout(10)
def test_what_is_not_a_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "nul":
        path = tmp_path / "x\0y"
    with pytest.raises(WeightsNotFoundError):
        local_file(path)
