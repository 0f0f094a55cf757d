"""Safetensors. Of a file, the header is checked first, and tensors are mapped from the open file.

The format is 8 bytes for the length N of the header (little-endian), N bytes of JSON, then the
bytes of the tensors, which the `data_offsets` of the header must tile without a gap
(huggingface/safetensors, "Format"). Nothing is allocated that the length of the file does not
cover.
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from zoo.errors import CorruptWeightsError, UsageError
from zoo.weights.verified_file import VerifiedFile

if TYPE_CHECKING:
    import torch

# A header may have 1 MiB (some 8,000 tensors) and a sixteenth of the file, so that parsing it never
# takes more memory than the order of the file's own size.
HEADER_BASE, HEADER_SHARE, HEADER_MOST = 2**20, 16, 16 * 2**20
DIMENSIONS = 16
# header's name: (bytes per element, name in torch)
DTYPES: dict[str, tuple[int, str]] = {
    "BOOL": (1, "bool"), "U8": (1, "uint8"), "I8": (1, "int8"),
    "F8_E4M3": (1, "float8_e4m3fn"), "F8_E5M2": (1, "float8_e5m2"),
    "I16": (2, "int16"), "U16": (2, "uint16"), "F16": (2, "float16"), "BF16": (2, "bfloat16"),
    "I32": (4, "int32"), "U32": (4, "uint32"), "F32": (4, "float32"),
    "I64": (8, "int64"), "U64": (8, "uint64"), "F64": (8, "float64"), "C64": (8, "complex64"),
}  # fmt: skip
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a header: `dtype` as the header names it, `begin` and `end` in the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself, after the checks: its tensors by name, and its metadata."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor."""
        return {name: tensor.shape for name, tensor in self.tensors.items()}


def inspect(file: VerifiedFile) -> Header:
    """The checked header of an open file. Nothing but the header is read.

    Raises:
        CorruptWeightsError: it is not safetensors, is truncated, or its header does not add up.
    """
    where = str(file.path)
    size = file.size
    length = _header_length(file.handle, size, where)
    header = _parse(file.handle.read(length), where)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _corrupt("the metadata is not a table of strings", where)
    start = 8 + length
    tensors = {name: _tensor(name, row, start, size, where) for name, row in header.items()}
    _check_tiling(tensors, start, size, where)
    return Header(tensors, metadata)


def tensors(
    file: VerifiedFile, header: Header | None = None, copied: Collection[str] = ()
) -> dict[str, torch.Tensor]:
    """All tensors, mapped from the open file without a copy. Writing to one does not reach the
    file.

    Each has its own storage over a private (copy-on-write) mapping, which outlives `file`. Those
    named in `copied` are read into memory of their own, aligned as torch aligns it. The values are
    checked once for NaN and infinity, and the verdict is remembered with the digest.

    Raises:
        CorruptWeightsError: as `inspect` does, or a tensor holds non-finite values.
    """
    header = header or inspect(file)
    if not header.tensors:
        return {}
    try:
        view = mmap.mmap(file.handle.fileno(), file.size, access=mmap.ACCESS_COPY)
    except (ValueError, OSError) as error:  # cut short since it was hashed
        raise _corrupt(f"the file cannot be mapped: {error}", str(file.path)) from None
    found = {
        name: _read(file, tensor) if name in copied else _map(view, tensor)
        for name, tensor in header.tensors.items()
    }
    if file.known("finite") is not True:
        _check_finite(found, str(file.path))
        file.remember(finite=True)
    return found


def to_bytes(state: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file of these tensors, wherever and however they lie in memory.

    Raises:
        UsageError: they are sharded over several processes.
    """
    import torch
    from safetensors.torch import save

    refuse_sharded(state)
    dense = torch.contiguous_format  # safetensors takes no tensor that is channels-last, or shared
    copies = {k: t.detach().cpu().clone(memory_format=dense) for k, t in state.items()}
    return save(copies, dict(metadata))


def refuse_sharded(state: Mapping[str, torch.Tensor]) -> None:
    """Refuse tensors of which this process has but a part.

    Raises:
        UsageError: it says how a whole model can be had.
    """
    sharded = [key for key, tensor in state.items() if hasattr(tensor, "full_tensor")]
    if sharded:
        raise UsageError(
            f"the model is sharded: this process has but a part of {sharded[0]!r}",
            remedy="load torch.distributed.checkpoint.state_dict.get_model_state_dict(model, "
            "options=StateDictOptions(full_state_dict=True)) into one that is not, and save that",
        )


def _corrupt(what: str, where: str) -> CorruptWeightsError:
    return CorruptWeightsError(what, where=where, remedy="fetch or write the file again")


def _header_length(handle: BinaryIO, size: int, where: str) -> int:
    handle.seek(0)
    first = handle.read(9)
    handle.seek(8)
    length = int.from_bytes(first[:8], "little")
    if len(first) < 9 or first[8:] != b"{":
        raise _not_safetensors(first, size, where)
    if length < 2 or length > min(HEADER_BASE + size // HEADER_SHARE, HEADER_MOST):
        raise _corrupt(f"the header's length, {length}, is out of bounds", where)
    if length > size - 8:
        raise _corrupt(f"truncated: a header of {length} bytes in a file of {size}", where)
    return length


def _not_safetensors(first: bytes, size: int, where: str) -> CorruptWeightsError:
    if first.startswith(_PICKLES):
        return CorruptWeightsError(
            "the file is a pickle, which can run code when it is read; the zoo reads safetensors",
            where=where,
            remedy="torch.load(..., weights_only=True), then safetensors.torch.save_file",
        )
    kind = "a page of HTML" if first.lstrip().startswith(b"<") else "not safetensors"
    return _corrupt(f"the file is {kind}: {size} bytes that begin with {first!r}", where)


def _parse(text: bytes, where: str) -> dict[str, Any]:
    try:
        header = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise _corrupt(f"the header is not JSON: {str(error)[:120]}", where) from None
    if not isinstance(header, dict):
        raise _corrupt("the header is not a JSON object", where)
    return header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key occurs twice")
    return table


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _tensor(name: str, row: Any, start: int, size: int, where: str) -> Tensor:
    where = f"{where}: {name[:200]!r}"
    if not isinstance(row, dict) or row.keys() != {"dtype", "shape", "data_offsets"}:
        raise _corrupt("the entry is not dtype, shape and data_offsets", where)
    dtype, shape, offsets = row["dtype"], row["shape"], row["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise _corrupt(f"unknown dtype {str(dtype)[:40]!r}", where)
    if not _are_counts(shape) or len(shape) > DIMENSIONS:
        raise _corrupt(f"shape {str(shape)[:80]} is not a list of sizes", where)
    if not _are_counts(offsets) or len(offsets) != 2:
        raise _corrupt(f"data_offsets {str(offsets)[:80]} are not two positions", where)
    begin, end = start + offsets[0], start + offsets[1]
    if end > size:
        raise _corrupt(f"truncated: data ends at byte {end} of a file of {size}", where)
    if end - begin != math.prod(shape) * DTYPES[dtype][0]:
        raise _corrupt(f"{end - begin} bytes for {dtype} of shape {shape}", where)
    return Tensor(dtype, tuple(shape), begin, end)


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 2**48 for v in values)


def _check_tiling(tensors: Mapping[str, Tensor], start: int, size: int, where: str) -> None:
    at = start
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if tensor.begin != at:
            raise _corrupt("the data overlaps or leaves a gap", f"{where}: {name[:200]!r}")
        at = tensor.end
    if at != size:
        raise _corrupt(f"{size - at} bytes follow the last tensor", where)


def _map(view: mmap.mmap, tensor: Tensor) -> torch.Tensor:
    import torch

    bytes_per_element, name = DTYPES[tensor.dtype]
    dtype = getattr(torch, name)
    count = (tensor.end - tensor.begin) // bytes_per_element
    if count == 0:
        return torch.empty(tensor.shape, dtype=dtype)
    if tensor.begin % bytes_per_element:  # allowed by the format, not by every kernel
        raw = bytearray(view[tensor.begin : tensor.end])
        return torch.frombuffer(raw, dtype=dtype).view(tensor.shape)
    flat = torch.frombuffer(view, dtype=dtype, count=count, offset=tensor.begin)
    return flat.view(tensor.shape)


def _read(file: VerifiedFile, tensor: Tensor) -> torch.Tensor:
    import torch

    found = torch.empty(tensor.shape, dtype=getattr(torch, DTYPES[tensor.dtype][1]))
    file.handle.seek(tensor.begin)
    memory = memoryview(found.reshape(-1).view(torch.uint8).numpy())  # pyright: ignore
    if file.handle.readinto(memory) != len(memory):  # type: ignore[attr-defined]
        raise _corrupt("the file was cut short while it was read", str(file.path))
    return found


def _check_finite(tensors: Mapping[str, torch.Tensor], where: str) -> None:
    for name, tensor in tensors.items():
        if not (tensor.is_floating_point() or tensor.is_complex()) or not tensor.numel():
            continue
        if tensor.is_complex() or tensor.element_size() == 1:
            finite = tensor.to(dtype=_wide(tensor)).isfinite().all()
        else:
            low, high = tensor.aminmax()  # NaN passes through; one pass and no copy
            finite = low.isfinite() & high.isfinite()
        if not finite:
            raise CorruptWeightsError(
                "the tensor holds NaN or infinity, so nothing can be computed with it",
                where=f"{where}: {name!r}",
                remedy="choose another checkpoint",
            )


def _wide(tensor: torch.Tensor) -> torch.dtype:
    import torch

    return torch.complex64 if tensor.is_complex() else torch.float32
