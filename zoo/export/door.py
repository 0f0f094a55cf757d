"""`zoo.export`: a model becomes a file, which is written only after it computed the same."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from zoo.errors import ExportError, UsageError
from zoo.export.compare import Difference, differences, expected_of
from zoo.export.facts import facts_of
from zoo.export.formats import Format, chosen
from zoo.export.inputs import Trials, batch_of, tensors, trials
from zoo.export.programs import Order, Program, eager, make
from zoo.export.rest import at_rest
from zoo.export.result import Exported, Port
from zoo.export.target import check_target
from zoo.runtime.files import write_atomically


def export(
    model: nn.Module,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    example: Any = None,
    batch_size: int | None = None,
    dynamic_size: bool = False,
    opset: int | None = None,
) -> Exported:
    """Export a model to ONNX, `torch.export` or TorchScript.

    What was made is read back and compared with the model on random inputs of three batches (2, 3
    and 1), the second of them larger images where their size is free. The file is written only if
    no output differs by more than 1e-4 of its largest number (float16 1e-2, bfloat16 5e-2); it is
    written whole or not at all. The model stays as it is, its modes and its device too; it is
    exported in evaluation mode and on the CPU.

    Args:
        model: any `torch.nn.Module`, also one to which `zoo.add_attention` has added some.
        path: the file, in a folder that exists. Its ending chooses the format: `.onnx`, `.pt2`,
            `.torchscript` or `.pt`.
        format: `"onnx"`, `"pt2"`, `"torchscript"` (scripted, or where that cannot be, traced),
            `"script"` or `"trace"`, whatever the ending is.
        example: one input: a tensor, a tuple of arguments, or a dict of keywords. Shapes matter,
            and values only of what is no floating-point tensor. It is not needed where the model
            says what it takes: models of the zoo, timm, torchvision and transformers.
        batch_size: the one size of batch that the file takes. By default any.
        dynamic_size: images (B, C, H, W) may have other sizes than the example. Not every model
            allows that.
        opset: the version of ONNX's operators; by default the exporter's.

    Returns:
        What the file is: format, opset, inputs, outputs, and how far it is from the model.

    Raises:
        UsageError: an unknown ending or format, a folder that does not exist, an input that is not
            known, a size that cannot be free.
        ExportError: the model cannot be exported, with the reason; a package is missing; what was
            exported computes something else.
    """
    _check(model, batch_size, opset)
    file = check_target(path)
    wanted = chosen(file, format)
    given = trials(model, example, batch_size=batch_size, dynamic_size=dynamic_size)
    with at_rest(model):
        expected = expected_of(eager(model), given)
        order = Order(
            model=model, trials=given, outputs=_output_names(expected[0]), facts=facts_of(model),
            opset=opset,
        )  # fmt: skip
        way, program, found, remarks = _made(wanted, order, expected)
    write_atomically(file, program.content)
    return Exported(
        path=os.fspath(path), size=len(program.content), way=way, opset=program.opset,
        inputs=_inputs(given, program.inputs), outputs=_outputs(given, order.outputs, expected),
        differences=found, facts=order.facts.data, remarks=remarks,
    )  # fmt: skip


def _check(model: Any, batch_size: Any, opset: Any) -> None:
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"a {type(model).__name__} is no torch.nn.Module",
            remedy="zoo.export(zoo.create_model(name, pretrained=True), path)",
        )
    if type(model).__name__ in ("OptimizedModule", "DistributedDataParallel"):
        inner = "_orig_mod" if type(model).__name__ == "OptimizedModule" else "module"
        raise UsageError(
            f"the model is wrapped in a {type(model).__name__}",
            remedy=f"zoo.export(model.{inner}, path)",
        )
    for name, value in (("batch_size", batch_size), ("opset", opset)):
        if value is not None and (type(value) is not int or value < 1):
            raise UsageError(f"{name}={value!r} is not a whole number of at least 1")


def _made(
    wanted: Format, order: Order, expected: Sequence[Sequence[Tensor]]
) -> tuple[str, Program, list[Difference], list[str]]:
    """The first way that works, and why those before it did not."""
    failed: list[str] = []
    for way in wanted.ways:
        try:
            program = make(way, order)
            return way, program, differences(program.run, order.trials, expected), failed
        except ExportError as error:
            if error.remedy:
                raise
            failed.append(f"{VERBS[way]}: {error.what}")
    raise ExportError(
        f"{order.facts.data['model']} is not exported, and nothing was written; "
        + "; ".join(failed),
        where=wanted.title,
        remedy=_remedy(order.trials),
    )


VERBS = {
    "onnx": "it cannot become ONNX", "pt2": "it cannot go through torch.export",
    "script": "it cannot be scripted", "trace": "it cannot be traced",
}  # fmt: skip


def _remedy(given: Trials) -> str:
    if given.free.size:
        return "leave dynamic_size out (zoo export: --dynamic-size): one size of images"
    if given.free.batch:
        return "batch_size=1 (zoo export: --batch-size 1), or another format"
    return "another format"


def _output_names(found: Sequence[Tensor]) -> list[str]:
    return ["output"] if len(found) == 1 else [f"output_{i}" for i in range(len(found))]


def _inputs(given: Trials, names: Sequence[str]) -> list[Port]:
    batch, found = batch_of(given.first), tensors(given.first)
    return [
        Port.of(name, tensor, given.free.axes(tensor, batch))
        for name, tensor in zip(names, found, strict=True)
    ]


def _outputs(
    given: Trials, names: Sequence[str], expected: Sequence[Sequence[Tensor]]
) -> list[Port]:
    """What changes between the inputs is free; it is the batch where it changes as that does."""
    batches = tuple(map(batch_of, given.inputs))
    ports: list[Port] = []
    for name, *found in zip(names, *expected, strict=True):
        sizes = enumerate(zip(*(tensor.shape for tensor in found), strict=True))
        free = {axis: row for axis, row in sizes if len(set(row)) > 1}
        letters = {axis: "batch" if row == batches else "any" for axis, row in free.items()}
        ports.append(Port.of(name, found[0], letters))
    return ports
