"""The file of each format, and what runs it: what is compared is what was read back."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from zoo.errors import ExportError
from zoo.export.facts import FACTS_FILE, Facts
from zoo.export.inputs import Trials
from zoo.export.operators import forget_freed_operators
from zoo.export.translations import translations
from zoo.hosts.reading.survey import Example

LIMIT = 2**31 - 1  # of a protocol buffer, which an .onnx file is
Run = Callable[[Example], list[Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A model in a format.

    Attributes:
        content: the bytes of its file.
        run: what the file, read back, computes: the tensors of the output, in order.
        opset: of ONNX, the version of its operators.
        inputs: the names of the tensors that it takes.
    """

    content: bytes
    run: Run
    opset: int | None = None
    inputs: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be made.

    Attributes:
        outputs: the names of what it gives.
        opset: the version of ONNX's operators; None is the exporter's own choice.
    """

    model: nn.Module
    trials: Trials
    outputs: Sequence[str]
    facts: Facts
    opset: int | None = None

    @cached_property
    def graph(self) -> torch.export.ExportedProgram:
        """The model's graph, with its free dimensions."""
        first = self.trials.first
        return torch.export.export(
            self.model, first.args, dict(first.keywords),
            dynamic_shapes=self.trials.dynamic_shapes(), strict=False,
        )  # fmt: skip


def outputs_of(given: Any) -> list[Tensor]:
    """The tensors of a model's output, in order: of a tuple, a dict, a `ModelOutput`."""
    if hasattr(given, "to_tuple"):
        given = given.to_tuple()
    return [leaf for leaf in tree_leaves(given) if isinstance(leaf, Tensor)]


def eager(model: nn.Module) -> Run:
    """The model itself."""
    return lambda example: outputs_of(model(*example.args, **example.keywords))


def scripted(order: Order) -> Program:
    """TorchScript, compiled from the source of the model's classes."""
    forget_freed_operators()
    return _torchscript(torch.jit.script(order.model), order)


def traced(order: Order) -> Program:
    """TorchScript, the operations of one pass."""
    first = order.trials.first
    how: dict[str, Any] = {"example_kwarg_inputs": dict(first.keywords)} if first.keywords else {
        "example_inputs": first.args
    }  # fmt: skip
    strict = isinstance(order.model(*first.args, **first.keywords), Tensor | tuple)
    module = torch.jit.trace(order.model, **how, check_trace=False, strict=strict)
    return _torchscript(module, order)


def _torchscript(module: Any, order: Order) -> Program:
    file = io.BytesIO()
    torch.jit.save(module, file, _extra_files={FACTS_FILE: order.facts.json()})
    file.seek(0)
    return Program(
        content=file.getvalue(), run=eager(torch.jit.load(file)), inputs=order.trials.names
    )


def exported(order: Order) -> Program:
    """A program of `torch.export`."""
    file = io.BytesIO()
    torch.export.save(order.graph, file, extra_files={FACTS_FILE: order.facts.json()})
    file.seek(0)
    module = torch.export.load(file).module()
    return Program(content=file.getvalue(), run=eager(module), inputs=order.trials.names)


def onnx(order: Order) -> Program:
    """An ONNX model, run by onnxruntime on the CPU.

    Raises:
        ExportError: it is larger than a file of this format can be.
    """
    import onnxruntime

    made = torch.onnx.export(
        order.graph, dynamo=True, verbose=False, opset_version=order.opset,
        input_names=list(order.trials.names), output_names=list(order.outputs),
        dynamic_shapes=order.trials.axis_names(),
        custom_translation_table=translations(),
    )  # fmt: skip
    assert made is not None
    proto = made.model_proto
    for key, value in order.facts.strings().items():
        proto.metadata_props.add(key=key, value=value)
    size = proto.ByteSize()
    if size > LIMIT:
        raise ExportError(
            f"the model has {size / 2**30:.1f} GiB, and an .onnx file holds 2 at most",
            remedy="a .pt2 file",
        )
    content = proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = tuple(node.name for node in session.get_inputs())

    def run(example: Example) -> list[Tensor]:
        arrays = [t.numpy() for t in outputs_of((example.args, dict(example.keywords)))]
        return [
            torch.from_numpy(a) for a in session.run(None, dict(zip(names, arrays, strict=True)))
        ]

    versions = [each.version for each in proto.opset_import if not each.domain]
    return Program(content=content, run=run, opset=versions[0], inputs=names)


WAYS: Mapping[str, Callable[[Order], Program]] = {
    "script": scripted,
    "trace": traced,
    "pt2": exported,
    "onnx": onnx,
}


def make(way: str, order: Order) -> Program:
    """The model in a format.

    Raises:
        ExportError: it has no such form; the reason is what PyTorch or onnxruntime said.
    """
    try:
        with quiet():
            return WAYS[way](order)
    except ExportError:
        raise
    except Exception as error:  # the model may be anyone's, and exporters fail in many ways
        raise ExportError(reason_of(error)) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of exporters: of their own parts, and of what the comparison tells."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def reason_of(error: BaseException, most: int = 300) -> str:
    """What an exporter said, in one line: the first cause, without the graphs and stacks below."""
    while error.__cause__ is not None and type(error).__module__.startswith("torch.onnx"):
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = _FILE.sub(r"(in \1)", " ".join(lines[:2]))
    return f"{type(error).__name__}: {text}"[:most].rstrip(": ")


_FILE = re.compile(r':?\s*File "(?:[^"]*[/\\])?([^"]+)", line \d+')
