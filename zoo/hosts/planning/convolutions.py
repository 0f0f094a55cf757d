"""Planning what stands in the place of a convolution, or beside it."""

from __future__ import annotations

from dataclasses import replace as changed
from typing import TYPE_CHECKING

from torch import nn

from zoo.errors import IncompatibleBackboneError
from zoo.hosts.forms import BesideConvolution, InsteadOfConvolution
from zoo.hosts.planning.building import check_shape
from zoo.hosts.reading.layouts import Layout
from zoo.hosts.reading.outputs import Found
from zoo.insertion.probe import Value

if TYPE_CHECKING:
    from zoo.hosts.planning.planner import Planned, Planner


def plan_convolution(planner: Planner, path: str) -> Planned:
    """In the plain form, in the place of the convolution; otherwise beside it.

    Raises:
        UsageError: there is an attention already.
        IncompatibleBackboneError: the module is no convolution, or was never called.
    """
    planner.check_place(path)
    conv = _convolution(planner, path)
    takes, gives = _maps(planner, path)
    known = {
        "in_channels": conv.in_channels, "stride": conv.stride[0], "dilation": conv.dilation[0],
        "groups": conv.groups,
    }  # fmt: skip
    attention, record = planner.build(
        path, conv.out_channels, Layout(kind="nchw"), takes.shape, known
    )
    shapes = (takes.shape, gives.shape)
    check_shape(planner.mechanism, path, attention, lambda m, x: m(x), shapes)
    if planner.mechanism.form == "plain":
        planner.check_empty(path)
        record = changed(record, form="plain", joining="replace")
        form: nn.Module = InsteadOfConvolution(attention)
    else:
        record = changed(record, form="residual", joining="beside")
        form = BesideConvolution(attention)
    return planner.planned(path, form, record, gives.dtype, gives.device)


def _convolution(planner: Planner, path: str) -> nn.Conv2d:
    module = planner.model.get_submodule(path)
    if isinstance(module, nn.Conv2d):
        return module
    raise IncompatibleBackboneError(
        f"{path} is a {type(module).__name__}, and {planner.mechanism.spec.name} replaces a "
        "convolution",
        where="at",
        remedy="the path of a torch.nn.Conv2d",
    )


def _maps(planner: Planner, path: str) -> tuple[Value, Found]:
    """What the convolution took and gave when the host ran."""
    for call in planner.survey.run.calls:
        if call.path == path and call.takes is not None:
            if call.seen is not None:
                return call.takes, call.seen
            break
    raise IncompatibleBackboneError(f"{path} {planner.survey.why_not(path)}", where="at")
