"""Checkpoints of others: a pickle of PyTorch or a safetensors file, down to its state dict.

Nothing in a file is run. Pickles are read with `weights_only=True`, which builds tensors and plain
containers only. What training scripts wrap around a state dict is taken off by closed lists of
names.
"""

from __future__ import annotations

import argparse
import pickle
import re
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import CorruptWeightsError, WeightsMismatchError
from zoo.weights import safetensors_file
from zoo.weights.verified_file import VerifiedFile, local_file

WRAPPERS = (
    "state_dict", "model", "net", "model_state", "model_state_dict", "network", "params", "weights",
)  # fmt: skip
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")  # of DataParallel, torch.compile, wrappers
COUNTERS = ("n_averaged",)  # of torch.optim.swa_utils.AveragedModel
AVERAGED = "_ema"  # the ending of a moving average of the state: `state_dict_ema`, `model_ema`
NESTING = 4
_PICKLES = (b"PK\x03\x04", b"\x80")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A state dict under the names of its authors, and the digest of the file that it is from.

    Attributes:
        prefix: what was taken off every key.
        wrapper: the entries that led to the state dict.
        instead_of: the raw state beside the averaged one that was taken.
        metadata: that of a safetensors file.
    """

    state: Mapping[str, Tensor]
    sha256: str
    prefix: str = ""
    wrapper: tuple[str, ...] = ()
    instead_of: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, a pickle (`.pth`, `.pt`, `.bin`, ...) or safetensors; the content tells
    which.

    Raises:
        WeightsNotFoundError: there is no such file.
        CorruptWeightsError: it is truncated, of neither format, holds what is not plain data, or
            tensors that cannot be weights.
        WeightsMismatchError: it holds no state dict, or more than one.
    """
    with local_file(path) as file:
        content, metadata = _read(file)
        content, wrapper, instead_of = _unwrap(content, str(path))
        for key, tensor in content.items():
            _check_tensor(tensor, file.size, f"{path}: {key!r}")
        state, prefix = without_prefix(content)
        return Checkpoint(
            state=state, sha256=file.sha256, prefix=prefix, wrapper=wrapper,
            instead_of=instead_of, metadata=metadata,
        )  # fmt: skip


def _read(file: VerifiedFile) -> tuple[Any, Mapping[str, str]]:
    """What is in the file, and what a safetensors file says of itself."""
    file.handle.seek(0)
    start = file.handle.read(4)
    if not start.startswith(_PICKLES):
        header = safetensors_file.inspect(file)
        return safetensors_file.tensors(file, header, copied=header.shapes), header.metadata
    try:
        _check_zip(file)
        file.handle.seek(0)
        # timm's training keeps its arguments beside the weights: names and plain values.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(file.handle, map_location="cpu", weights_only=True), {}
    except CorruptWeightsError:
        raise
    except pickle.UnpicklingError as error:
        raise _not_plain(str(error), str(file.path)) from None
    except Exception as error:  # torch, pickle and zipfile raise a dozen kinds
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise CorruptWeightsError(
            f"the checkpoint cannot be read, it may be truncated: {reason}",
            where=str(file.path),
            remedy="fetch the file again",
        ) from None


def _check_zip(file: VerifiedFile) -> None:
    """PyTorch stores and never compresses: a small archive of much data is none of its own."""
    if not zipfile.is_zipfile(file.handle):
        return
    with zipfile.ZipFile(file.handle) as archive:
        total = sum(entry.file_size for entry in archive.infolist())
    if total > file.size:
        raise CorruptWeightsError(
            f"an archive of {file.size} bytes that unpacks to {total} is not PyTorch's",
            where=str(file.path),
        )


def _not_plain(text: str, where: str) -> CorruptWeightsError:
    found = re.search(r"GLOBAL ([\w.]+)", text)
    what = f"asks for {found[1]}" if found else "holds more than tensors and plain containers"
    return CorruptWeightsError(
        f"refused, and nothing in it was run: the pickle {what}",
        where=where,
        remedy="if you trust its source: load it there, and torch.save(model.state_dict(), FILE)",
    )


def _unwrap(content: Any, where: str) -> tuple[dict[str, Tensor], tuple[str, ...], str]:
    """The state dict in what was read, through entries of the names in `WRAPPERS`.

    Where there is a moving average of one, that is taken, as timm does: it is what a training that
    keeps one measures, and the name of the other is given too.
    """
    path: tuple[str, ...] = ()
    instead_of = ""
    while not _is_state(content):
        inner = _inside(content)
        if len(inner) != 1 or len(path) == NESTING:
            raise _no_state(content, inner, where)
        name = inner[0]
        raw = name.removesuffix(AVERAGED)
        instead_of = raw if raw != name and raw in content else instead_of
        path, content = (*path, name), content[name]
    return dict(content), path, instead_of


def _inside(content: Any) -> list[str]:
    """Entries that may lead to the state dict; of a state and its average, the average."""
    if not isinstance(content, Mapping):
        return []
    wrappers = [name for each in WRAPPERS for name in (each + AVERAGED, each)]
    found = [n for n in wrappers if isinstance(content.get(n), Mapping) and content[n]]
    return [name for name in found if name + AVERAGED not in found]


def _is_state(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items())
    )


def _no_state(content: Any, inner: list[str], where: str) -> WeightsMismatchError:
    if len(inner) > 1:
        what = f"the checkpoint holds several state dicts: {', '.join(inner)}"
    elif isinstance(content, Mapping):
        others = [str(k)[:60] for k, v in content.items() if not isinstance(v, Tensor)]
        named = ", ".join(others[:6]) or "nothing"
        what = f"the checkpoint is not a state dict of tensors, it has {named}"
    else:
        what = f"the checkpoint is a {type(content).__name__}, not a state dict"
    return WeightsMismatchError(
        what, where=where, remedy=f"a state dict alone, or under one of {', '.join(WRAPPERS)}"
    )


def _check_tensor(tensor: Tensor, size: int, where: str) -> None:
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_complex():
        raise CorruptWeightsError(f"a tensor of {tensor.dtype}, {tensor.layout}", where=where)
    if tensor.device.type != "cpu" or tensor.numel() * tensor.element_size() > size:
        raise CorruptWeightsError("the tensor has more elements than the file", where=where)
    if tensor.is_floating_point() and not tensor.float().isfinite().all():
        raise CorruptWeightsError("the tensor holds NaN or infinity", where=where)


def without_prefix(
    state: Mapping[str, Tensor], own: Collection[str] = ()
) -> tuple[dict[str, Tensor], str]:
    """The state without what all its keys begin with, as far as `PREFIXES` has it.

    A prefix stays if the keys in `own`, those of the model, begin with it too. The counter that
    averaging wrappers keep beside their module is left out with its prefix.
    """
    keys, taken = [key for key in state if key not in COUNTERS], ""
    while prefix := next((p for p in PREFIXES if _all_have(keys, taken + p)), ""):
        if _all_have(own, prefix):
            break
        taken += prefix
    if not taken:
        return dict(state), ""
    return {key.removeprefix(taken): state[key] for key in keys}, taken


def _all_have(keys: Collection[str], prefix: str) -> bool:
    return bool(keys) and all(key.startswith(prefix) for key in keys)
