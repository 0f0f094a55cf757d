"""What `zoo.export` says of the file that it has written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from zoo.export.compare import Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """An input or an output: its name, its type, and its shape, in which letters are free."""

    name: str
    dtype: str
    shape: list[int | str]

    @classmethod
    def of(cls, name: str, tensor: Tensor, axes: Mapping[int, str]) -> Port:
        """The port of a tensor, some of whose dimensions are free."""
        shape = [axes.get(axis, size) for axis, size in enumerate(tensor.shape)]
        return cls(name=name, dtype=str(tensor.dtype).removeprefix("torch."), shape=shape)

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} ({', '.join(map(str, self.shape))})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A file, and how it was found to compute what the model does.

    Attributes:
        path: of the file, `size` its bytes.
        way: how it was made: `onnx`, `pt2`, `script` or `trace`.
        opset: the version of ONNX's operators; None in other formats.
        inputs, outputs: with letters for the dimensions that are free.
        differences: from the model, on each input that both were given.
        facts: what went along: `zoo.export.facts`.
        remarks: what a user should know: another way that was tried first and failed.
    """

    path: str
    size: int
    way: str
    opset: int | None
    inputs: Sequence[Port]
    outputs: Sequence[Port]
    differences: Sequence[Difference]
    facts: Mapping[str, Any]
    remarks: Sequence[str] = ()

    @property
    def absolute(self) -> float:
        """The largest absolute difference."""
        return max(each.absolute for each in self.differences)

    @property
    def relative(self) -> float:
        """The largest difference as a share of the output's largest number."""
        return max(each.relative for each in self.differences)

    def asdict(self) -> dict[str, Any]:
        """Plain data, with the largest differences."""
        return {**asdict(self), "absolute": self.absolute, "relative": self.relative}

    def text(self) -> str:
        """For a reader, in a few lines."""
        form = f"ONNX, opset {self.opset}" if self.opset else NAMES[self.way]
        sizes = ", ".join(" and ".join("x".join(map(str, s)) for s in d.shapes)
                          for d in self.differences)  # fmt: skip
        return "\n".join([
            f"{self.path}: {form}, {self.size / 2**20:.1f} MiB",
            f"inputs: {'; '.join(map(str, self.inputs))}",
            f"outputs: {'; '.join(map(str, self.outputs))}",
            f"compared with the model on {sizes}: the largest difference is {self.absolute:.2g}, "
            f"{self.relative:.2g} of the largest number",
        ])  # fmt: skip


NAMES = {"pt2": "torch.export", "script": "TorchScript, scripted", "trace": "TorchScript, traced"}
