"""The form of a model that was found once, kept for the next time in the user's cache.

A form is looked up by a digest of all that it was found with: the weights, the structure and the
code of the model, the shape of its input, the device, and the versions. So another model, another
machine or another version is a miss, and nothing is ever out of date. A file that cannot be
read is as good as none, and one that cannot be written costs only the same check again.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.evaluation.fold import Seen
from zoo.evaluation.forms import FORMS
from zoo.evaluation.record import versions
from zoo.registry.timm_index import cache_folder
from zoo.runtime.device import device_name
from zoo.runtime.files import write_atomically

MOST = 100  # files that are kept, the newest
_PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True, slots=True)
class Found:
    """A form of `zoo.evaluation.forms.FORMS`, what it is made from, and images a part.

    Attributes:
        part: images that are computed at once; 0 for the whole batch.
    """

    form: str
    part: int
    seen: Seen


def recall(key: str) -> Found | None:
    """What was found for a key, or None: nothing was, or the file is damaged."""
    try:
        return _read(json.loads(_file(key).read_bytes()))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def remember(key: str, found: Found) -> None:
    """Keep what was found. A cache that cannot be written is left alone."""
    with suppress(OSError):
        write_atomically(_file(key), json.dumps(asdict(found)).encode())
        _drop_oldest(_file(key).parent)


def forget(key: str) -> None:
    """Remove what was found, since it does not hold."""
    with suppress(OSError):
        _file(key).unlink(missing_ok=True)


def key_of(model: nn.Module, shape: tuple[int, ...], device: torch.device, **more: Any) -> str:
    """The key of a model, a hexadecimal digest.

    Args:
        model: with the weights that it is used with.
        shape: of an image (C, H, W).
        more: whatever else the form depends on.
    """
    digest = hashlib.sha256()
    for part in (_machine(device), shape, sorted(more.items()), *_structure(model)):
        digest.update(repr(part).encode() + b"\n")
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        digest.update(repr((name, tensor.dtype, tuple(tensor.shape), tensor.stride())).encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _read(data: Any) -> Found:
    seen = data["seen"]
    pairs, acts = ([(str(a), str(b)) for a, b in seen[key]] for key in ("pairs", "acts"))
    shapes = {str(name): tuple(map(int, shape)) for name, shape in seen["shapes"].items()}
    if data["form"] not in FORMS:
        raise ValueError(data["form"])
    known = Seen(pairs, acts, shapes, int(seen["largest"]))
    return Found(data["form"], int(data["part"]), known)


def _file(key: str) -> Path:
    return cache_folder() / "forms" / f"{key}.json"


def _drop_oldest(folder: Path) -> None:
    files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
    for file in files[:-MOST]:
        file.unlink(missing_ok=True)


def _machine(device: torch.device) -> tuple[Any, ...]:
    cpu = torch.backends.cpu.get_cpu_capability(), platform.machine(), _processor()
    switches = torch.backends.mkldnn.is_available(), os.environ.get("ONEDNN_MAX_CPU_ISA")
    return device.type, device_name(device), cpu, switches, sorted(versions().items())


@cache
def _processor() -> str:
    """What the CPU is called."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        return next((line for line in lines if line.startswith("model name")), "")
    return platform.processor()


def _structure(model: nn.Module) -> Iterator[tuple[Any, ...]]:
    """What each module is, its plain attributes, and the file of its code."""
    for name, module in model.named_modules():
        plain = {k: v for k, v in vars(module).items() if isinstance(v, _PLAIN)}
        plain.pop("training", None)
        yield name, _code(type(module)), module.extra_repr(), sorted(plain.items())


@cache
def _code(kind: type) -> tuple[Any, ...]:
    """A class by its name, and the files that it and its bases are from, by size and time."""
    modules = {sys.modules.get(base.__module__) for base in inspect.getmro(kind)}
    files = sorted(filter(None, {getattr(module, "__file__", None) for module in modules}))
    stats = [(file, os.stat(file)) for file in files if os.path.exists(file)]
    name = f"{kind.__module__}.{kind.__qualname__}"
    return name, [(file, stat.st_size, stat.st_mtime_ns) for file, stat in stats]


def _bytes(tensor: Tensor) -> Any:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy() if flat.numel() else b""
