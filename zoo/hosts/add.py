"""`add_attention` and `remove_attention`: any attention in any model, and the model as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import nn

from zoo.errors import IncompatibleBackboneError, UsageError
from zoo.hosts import swap
from zoo.hosts.check import check_host
from zoo.hosts.forms import Record, Signal
from zoo.hosts.freeze import freeze, thaw
from zoo.hosts.places import At
from zoo.hosts.planning.building import Mechanism
from zoo.hosts.planning.planner import Planned, Planner
from zoo.hosts.reading.layouts import Kind
from zoo.hosts.reading.survey import Survey, known_example, shapes
from zoo.hosts.reading.where import Told
from zoo.registry import Registry, default_registry, names
from zoo.registry.specs import Form

Train = Literal["all", "attention"]


def add_attention(
    model: nn.Module,
    attention: str,
    at: At | None = None,
    example: Any = None,
    *,
    insertion: Form | None = None,
    name: str | None = None,
    layout: Kind | None = None,
    prefix_tokens: int | None = None,
    grid: tuple[int, int] | None = None,
    train: Train = "all",
    eval_norms: bool = False,
    attention_options: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
    **options: Any,
) -> nn.Module:
    """Add an attention to a model, in place, at the outputs of modules that you name.

    The model computes what it did: the mechanism starts as the identity, which holds up to
    rounding, or as x + alpha (f(x) - x), alpha = 0, which holds to the last bit. All parameters of
    the model keep their names. What is added are children of the modules that are named; nothing is
    hooked. Either everything is added or, with an error, nothing.

    Args:
        model: any `torch.nn.Module`, neither compiled nor wrapped for several processes.
        attention: the name of a mechanism (`zoo.list_attentions()`).
        at: where. Dotted paths (`"layer4"`, `"layer3.0"`), patterns in which `*` stands for letters
            of one name and `**` for any names (`"layer4.*"`, `"**.mlp"`), or a function
            `(path, module) -> bool`. The path of a `ModuleList` names its items, and `"layer"`
            names `layer1`, `layer2`, ... Default: the blocks of timm, torchvision and transformers.
            A mechanism that gates a skip connection by a second map takes
            `{"x": path, "gate": path}`, or a list of these: the modules that give the map and the
            gating signal. The map is gated where the model takes it up again.
        example: one input: a tensor, a tuple of arguments, or a dict of keywords. Only shapes
            matter. It is not needed where the model says what it takes, as in `at`'s default.
        insertion: `"plain"` f(x), which moves the outputs; `"exact"`, f started as the identity;
            `"residual"`. Default: exact where the mechanism can and its spec does not prefer
            residual, else residual.
        name: of the new child of each module, the mechanism's by default. It is needed for a
            second attention at the same module. Where a form takes a place that the model has
            (`layer1.0.se`), it has no name but that of its mechanism.
        layout: `"nchw"` (B, C, H, W), `"nhwc"` (B, H, W, C) or `"tokens"` (B, N, C) of the outputs,
            where it cannot be told from what runs.
        prefix_tokens, grid: of outputs that are tokens, how many come before the patches (class
            token, registers) and (rows, columns) of these, where the image does not tell.
        train: `"attention"` lets no parameter of the model itself be trained.
        eval_norms: with `train="attention"`, batch norms stay in evaluation mode, so that their
            statistics do not move either.
        attention_options: options of the mechanism whose names are those of arguments above.
        **options: of the mechanism (`reduction=8`).

    Returns:
        The same model.

    Raises:
        UnknownNameError: of the attention.
        UsageError: a path that names nothing (with the closest ones), a second attention at one
            place.
        OptionError: an option that the mechanism does not have.
        IncompatibleBackboneError: a module that gives no map, other channels, a compiled or wrapped
            model.
    """
    check_host(model)
    _check_arguments(train, eval_norms, name, attention_options)
    registry = registry or default_registry()
    mechanism = Mechanism(
        spec=names.attention(attention, registry), registry=registry,
        options={**(attention_options or {}), **options}, form=insertion,
    )  # fmt: skip
    mechanism.check()
    survey = Survey(model, known_example(model) if example is None else example)
    told = Told(layout=layout, prefix_tokens=prefix_tokens, grid=grid)
    planner = Planner(model=model, survey=survey, mechanism=mechanism, told=told, name=name)
    planned = planner.plan(at)
    put_all(model, planned)
    try:
        _check_run(model, survey, planned)
    except BaseException:
        take_all(model, planned)
        raise
    if train == "attention":
        freeze(model, norms=eval_norms)
    return model


def remove_attention(model: nn.Module, name: str | None = None) -> list[str]:
    """Take out what `add_attention` and `load_attention` added: the model is what it was before.

    Its class, the classes of its modules, its keys and its parameters are those of before; what was
    frozen is trained again.

    Args:
        name: take out only what was given this name, or is of this mechanism.

    Returns:
        The paths where attention was; none if there was none.

    Raises:
        UsageError: nothing has that name.
    """
    found = swap.added(model)
    chosen = [row for row in found if name is None or name in _names(*row)]
    if name is not None and not chosen:
        there = sorted({record.mechanism for _, _, record in found})
        raise UsageError(
            f"no attention {name!r} was added to this {type(model).__name__}",
            remedy=f"there are {', '.join(there)}" if there else "there is none at all",
        )
    for path, form, _ in reversed(chosen):
        swap.take_out(model, path, form)
    thaw(model)
    return [path for path, _, record in chosen if record.joining != "signal"]


def _names(path: str, form: nn.Module, record: Record) -> tuple[str, str]:
    """What a form can be asked for by: its mechanism, and its own name; a signal by its gate's.

    In a place of the host (`layer1.0.se`) the name is the host's, and says nothing of the form.
    """
    if isinstance(form, Signal):
        return record.mechanism, record.partner.rpartition(".")[2]
    is_child = record.joining not in ("set", "replace")
    return record.mechanism, path.rpartition(".")[2] if is_child else record.mechanism


def put_all(model: nn.Module, planned: Sequence[Planned]) -> None:
    """Put every form into the host, or none."""
    done: list[Planned] = []
    try:
        for each in planned:
            swap.put(model, each.path, each.name, each.form, each.record)
            done.append(each)
    except BaseException as error:
        take_all(model, done)
        if isinstance(error, TypeError):  # the class of a module cannot be swapped
            raise IncompatibleBackboneError(
                f"{planned[len(done)].path} does not let its class be changed: {error}",
                where="at",
                remedy="name the module around it",
            ) from error
        raise


def take_all(model: nn.Module, done: Sequence[Planned]) -> None:
    """Take out forms that were put into the host."""
    for each in reversed(done):
        swap.take_out(model, each.at, each.form)


def _check_run(model: nn.Module, survey: Survey, planned: Sequence[Planned]) -> None:
    """The host runs as before, with the same shapes, and calls every form."""
    after = Survey(model, survey.example.as_given)
    without = [each.at for each in planned]
    if shapes(survey.run, without) != shapes(after.run, without):
        error = after.run.error
        raise IncompatibleBackboneError(
            f"with {planned[0].record.mechanism} in it {type(model).__name__} does not run as "
            f"before{f': {error}' if error else ''}",
            where="at",
            remedy="other places; zoo.list_sites(model, example) lists them",
        ) from error
    called = Counter(call.path for call in after.run.calls)
    for each in planned:
        if called[each.at] != called[each.path] or not called[each.at]:
            raise IncompatibleBackboneError(
                f"{type(model).__name__} calls {each.at} {called[each.at]} times, and what it "
                f"follows {called[each.path]} times",
                where="at",
                remedy="name the module around it, or one in it",
            )


def _check_arguments(train: object, eval_norms: object, name: object, options: object) -> None:
    if train not in ("all", "attention"):
        raise UsageError(f"train={train!r} is neither 'all' nor 'attention'")
    if eval_norms and train != "attention":
        raise UsageError("eval_norms=True goes with train='attention'")
    if name is not None and not (isinstance(name, str) and name.isidentifier()):
        raise UsageError(f"name={name!r} is not an identifier", remedy='name="second"')
    if options is not None and not isinstance(options, Mapping):
        raise UsageError(
            f"attention_options={options!r:.80} is no mapping of names to values",
            remedy='attention_options={"reduction": 8}',
        )
