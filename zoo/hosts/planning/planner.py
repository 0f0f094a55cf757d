"""What is to be put where: every form is built, and fits its place, before the host is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import IncompatibleBackboneError, UsageError
from zoo.hosts import places
from zoo.hosts.check import check_module
from zoo.hosts.forms import Joining, Record, at_a_place, on_output
from zoo.hosts.planning.building import Mechanism, check_shape
from zoo.hosts.planning.convolutions import plan_convolution
from zoo.hosts.planning.gates import plan_gates
from zoo.hosts.planning.mixers import plan_mixer
from zoo.hosts.reading import defaults
from zoo.hosts.reading.layouts import Layout
from zoo.hosts.reading.survey import Survey
from zoo.hosts.reading.where import Told, layout_of
from zoo.hosts.swap import RECORD, added, forms_of
from zoo.insertion.families import block_sites
from zoo.insertion.layers import runs_its_children
from zoo.insertion.sites import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A form for the module (or the place) at `path`, under `name` if it becomes a child of it."""

    path: str
    name: str
    form: nn.Module
    record: Record

    @property
    def at(self) -> str:
        """The path under which the form will be found."""
        if self.record.joining in ("set", "replace"):
            return self.path
        return f"{self.path}.{self.name}" if self.path else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """Everything that decides what is put where."""

    model: nn.Module
    survey: Survey
    mechanism: Mechanism
    told: Told
    name: str | None

    def plan(self, at: Any) -> list[Planned]:
        """The forms for the places that `at` names, or for those of the host's family.

        Raises:
            UsageError, IncompatibleBackboneError: the host was not changed.
        """
        self.survey.check()
        if self.mechanism.gates_skips or isinstance(at, Mapping):
            with torch.random.fork_rng(devices=[]):
                return plan_gates(self, at)
        make = self._maker()
        with torch.random.fork_rng(devices=[]):
            if at is not None:
                return [make(path) for path in places.named(self.model, at)]
            by_block = self.mechanism.spec.insertion.placement == "block"
            if make == self._after and by_block and (sites := block_sites(self.model)):
                return [self._at_site(site) for site in self._affordable(sites)]
            return self._defaults(make)

    def _maker(self) -> Callable[[str], Planned]:
        """What plans the form at one path, by the mechanism's role."""
        role = self.mechanism.spec.insertion.role
        if role == "replace_conv":
            return partial(plan_convolution, self)
        return partial(plan_mixer, self) if role == "replace_mixer" else self._after

    def _defaults(self, make: Callable[[str], Planned]) -> list[Planned]:
        """The default places, as far as the mechanism can take them (groups may not divide)."""
        paths = defaults.paths(self.survey, self.mechanism.spec)
        if self.mechanism.spec.insertion.role == "refine":
            return [make(path) for path in paths]
        made: list[Planned] = []
        refused: list[IncompatibleBackboneError] = []
        for path in paths:
            try:
                made.append(make(path))
            except IncompatibleBackboneError as error:
                refused.append(error)
        if not made:
            raise refused[0]
        return made

    def _affordable(self, sites: Sequence[Site]) -> list[Site]:
        blocks = [_parent(site.path) for site in sites]
        kept = set(defaults.affordable(self.survey, self.mechanism.spec, blocks))
        return [site for site in sites if _parent(site.path) in kept]

    # one place

    def _after(self, path: str) -> Planned:
        """After the output of a module."""
        self.check_place(path)
        found, layout = layout_of(self.survey, path, self.told, on_map=not self.mechanism.on_tokens)
        attention, record = self.build(path, layout.channels(found.shape), layout, found.shape)
        module = self.model.get_submodule(path)
        sequential = isinstance(module, nn.Sequential)
        joining: Joining = "child" if runs_its_children(module) and not sequential else "after"
        record, gate = self._started(attention, record, path, joining=joining, way=found.way)
        form = on_output(record, attention, gate)

        vars(form)[RECORD] = record
        on = layout.on_tokens if record.on_tokens else layout.on_map
        shapes = (found.shape, found.shape)
        check_shape(self.mechanism, path, form, lambda m, x: on(m.combine, x), shapes)
        return self.planned(path, form, record, found.dtype, found.device)

    def _at_site(self, site: Site) -> Planned:
        """At the end of the residual branch of a block of timm's, where it has a place for it."""
        if site.way == "swap":
            return self._after(site.path)
        parent, _, leaf = site.path.rpartition(".")
        block = self.model.get_submodule(parent)
        stood = getattr(block, leaf)
        if vars(stood or nn.Identity()).get(RECORD) is not None:
            raise self._second(site.path)
        found = self.survey.outputs(parent)[0]
        layout = Layout(kind="nhwc" if site.channels_last else "nchw")
        attention, record = self.build(site.path, site.channels, layout, found.shape)
        record, gate = self._started(
            attention, record, site.path, joining="set", base_first=site.base_first
        )
        base = None if type(stood) is nn.Identity else stood
        form = at_a_place(record, attention, base, gate)
        return self.planned(site.path, form, record, found.dtype, found.device)

    # what they share

    def check_place(self, path: str) -> None:
        """Refuse a module that no attention can follow, or that has one already."""
        check_module(self.model, path)
        module = self.model.get_submodule(path)
        if vars(module).get(RECORD) is not None or (forms_of(module) and self.name is None):
            raise self._second(path)

    def check_empty(self, path: str) -> None:
        """Refuse to take the place of the model itself, or of what has an attention."""
        if not path:
            raise IncompatibleBackboneError(
                f"the model is itself what {self.mechanism.spec.name} would take the place of",
                where="at",
                remedy="insertion='residual', or torch.nn.Sequential(model)",
            )
        if added(self.model.get_submodule(path)):
            raise UsageError(
                f"{path} has an attention, which would be lost with what stands there",
                where="at",
                remedy="insertion='residual', or zoo.remove_attention(model) before",
            )

    def _second(self, path: str) -> UsageError:
        return UsageError(
            f"{path} has an attention already",
            where="at",
            remedy='name="second", if two are meant; or zoo.remove_attention(model)',
        )

    def build(
        self,
        path: str,
        channels: int,
        layout: Layout,
        shape: tuple[int, ...],
        more: dict[str, Any] | None = None,
    ) -> tuple[nn.Module, Record]:
        """The attention for a place, and the first draft of its record.

        Args:
            shape: of the tensor that it attends to. more: what else is known of the place.
        """
        size = {"feat_size": layout.size(shape)} if self.mechanism.spec.insertion.needs_size else {}
        keywords = self.mechanism.keywords({**size, **(more or {})})
        record = Record(
            mechanism=self.mechanism.spec.name, joining="after", form="plain", channels=channels,
            options=keywords, on_tokens=self.mechanism.on_tokens, layout=layout,
        )  # fmt: skip
        return self.mechanism.build(path, channels, keywords), record

    def _started(
        self, attention: nn.Module, record: Record, path: str, **more: Any
    ) -> tuple[Record, float]:
        form, gate = self.mechanism.start(attention, path)
        return changed(record, form=form, scaled=gate != 1.0, **more), gate

    def planned(
        self,
        path: str,
        form: nn.Module,
        record: Record,
        dtype: torch.dtype,
        device: torch.device,
        name: str | None = None,
    ) -> Planned:
        """The form, on the device, in the precision and in the mode of what is around it."""
        module = self.model.get_submodule(path if record.joining != "set" else _parent(path))
        like: Tensor | None = next((p for p in module.parameters() if p.is_floating_point()), None)
        form.to(device=device, dtype=dtype if like is None else like.dtype)
        form.train(module.training)
        name = name or self._name(module, record)
        return Planned(path=path, name=name, form=form, record=record)

    def _name(self, module: nn.Module, record: Record) -> str:
        """The name of the form as a child of the module: the user's, or the mechanism's."""
        name = self.name or record.mechanism
        if record.joining not in ("set", "replace") and hasattr(module, name):
            if self.name is None:
                return f"zoo_{name}"
            raise UsageError(
                f"{type(module).__name__} has an attribute {name!r} already",
                where="name",
                remedy="another name=",
            )
        return name


def _parent(path: str) -> str:
    return path.rpartition(".")[0]
