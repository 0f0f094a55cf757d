"""The door for options: other names become the constructor's, and what cannot be is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timm.layers import make_divisible

from zoo.errors import OptionError
from zoo.registry import default_registry
from zoo.registry.options import check_names, normalise, option_names
from zoo.registry.specs import AttentionSpec, Insertion, OptionNames, Width
from zoo.registry.targets import resolve
from zoo.registry.values import converted, phrase
from zoo.sdk import (
    AtLeast,
    AtMost,
    Count,
    DropRate,
    NonNegativeFloat,
    OddInt,
    PositiveFloat,
    PositiveInt,
    Share,
    Size,
    bottleneck_width,
)
from zoo.sdk.map_size import as_pair


class Gate:
    """A constructor, of which only the signature matters."""

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveFloat = 16,
        reduced_channels: PositiveInt | None = None,
        kernel_size: OddInt = 7,
        mode: Literal["avg", "max"] = "avg",
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None: ...


def halve_radius(options: dict[str, Any]) -> dict[str, Any]:
    """Authors' code that gives the radius of its kernel."""
    own = dict(options)
    if "radius" in own:
        own["kernel_size"] = 2 * own.pop("radius") + 1
    return own


NAMES = OptionNames(
    aliases={"inplanes": "channels", "k": "kernel_size"},
    fixed={"radix": 2, "scales": (1, 2)},
    ignored=("act_layer",),
    width=Width(),
    read=f"{__name__}:halve_radius",
)


def read(
    given: dict[str, Any], channels: Any = 64, names: OptionNames = NAMES, target: Any = Gate
) -> dict[str, Any]:
    spec = AttentionSpec(name="gate", target="gates:Gate", options=names)
    return normalise(spec, target, channels, given)


def refusal(given: dict[str, Any], **more: Any) -> str:
    with pytest.raises(OptionError) as caught:
        read(given, **more)
    return str(caught.value)


# --- Names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "own"),
    [
        ({}, {}),
        ({"k": 3}, {"kernel_size": 3}),
        ({"k": 3, "kernel_size": 3}, {"kernel_size": 3}),
        ({"radius": 2}, {"kernel_size": 5}),
        ({"inplanes": 64}, {}),
        ({"radix": 2, "scales": [1, 2]}, {}),
        ({"act_layer": "relu", "bias": False}, {"bias": False}),
    ],
)
def test_other_names_become_the_constructors(given: dict[str, Any], own: dict[str, Any]) -> None:
    assert read(given) == {"channels": 64, **own}


def test_channels_fill_every_name_that_is_not_given() -> None:
    def target(in_channels: PositiveInt, out_channels: PositiveInt) -> None: ...

    names = OptionNames(channels=("in_channels", "out_channels"))
    found = read({"out_channels": 3}, names=names, target=target)
    assert found == {"in_channels": 64, "out_channels": 3}


def test_defaults_of_the_spec_give_way_to_any_form_of_the_same_option() -> None:
    names = OptionNames(defaults={"bias": False, "reduction": 4}, width=Width())
    assert read({}, names=names) == {"channels": 64, "bias": False, "reduction": 4}
    found = read({"bias": True, "rd_channels": 5}, names=names)
    assert found == {"channels": 64, "bias": True, "reduced_channels": 5}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"colour": 1}, ["gate has no option 'colour'", "kernel_size", "k,", "rd_ratio"]),
        ({"k": 3, "kernel_size": 5}, ["k=3 and kernel_size=5 contradict", "give one of k="]),
        ({"radix": 3}, ["radix=2 alone, not radix=3", "leave radix= out"]),
        ({"radix": True}, ["radix=2 alone"]),
        ({"radius": "wide"}, ["gate cannot read", "radius='wide'"]),
        ({"kernel_size": 4}, ["kernel_size=4 is not a whole number of at least 1 and that is odd"]),
        ({"mode": "sum"}, ["mode='sum' is not one of 'avg', 'max'"]),
        ({"bias": 1}, ["bias=1 is not True or False"]),
        ({"reduction": math.nan}, ["reduction=nan is not finite"]),
        ({"reduction": 4, "reduced_channels": 17}, ["reduction=4 and reduced_channels=17"]),
        ({"reduction": 65}, ["reduction=65 leaves no hidden channel of channels=64"]),
        ({"rd_ratio": 0}, ["rd_ratio=0 is not above 0"]),
        ({"rd_channels": 2.5}, ["rd_channels=2.5 is not a whole number"]),
    ],
)
def test_what_cannot_be_is_refused_by_name(given: dict[str, Any], words: list[str]) -> None:
    message = refusal(given)
    assert "attention 'gate'" in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("channels", [0, -1, 2.0, True, "64"])
def test_channels_are_a_positive_whole_number(channels: Any) -> None:
    assert f"channels={channels!r} is not" in refusal({}, channels=channels)


def test_a_call_that_leaves_something_out_is_shown_whole() -> None:
    def target(channels: int, *, feat_size: Size) -> None: ...

    assert 'create_attention("gate", channels=64)' in refusal({}, channels=None)
    sized = AttentionSpec(
        name="gate", target="gates:Gate", insertion=Insertion(needs_size=True, placement="stage")
    )
    with pytest.raises(OptionError, match=r"channels=64, feat_size=\(14, 14\)"):
        normalise(sized, target, 64, {})


def test_names_are_checked_before_the_channels_are_known() -> None:
    spec = AttentionSpec(name="gate", target="gates:Gate", options=OptionNames(width=Width()))
    check_names(spec, Gate, {"rd_ratio": 0.5, "bias": True})
    with pytest.raises(OptionError, match="colour"):
        check_names(spec, Gate, {"colour": 1})


@pytest.mark.parametrize("name", sorted(default_registry().attentions))
def test_what_a_spec_says_of_options_is_true_of_the_constructor(name: str) -> None:
    spec = default_registry().attentions[name]
    accepted = option_names(resolve(spec.target, default_registry().owner(spec)))
    said = spec.options
    width = () if said.width is None else (said.width.option, said.width.of)
    width = {name for name in width if ":" not in name}  # the target of a function
    if accepted:  # a constructor with **options says nothing
        assert accepted >= {*said.channels, *said.defaults, *width}
        assert not accepted & {*said.fixed, *said.ignored, *said.aliases}
        if not said.read:  # which may read what an alias stands for
            assert accepted >= set(said.aliases.values())


def test_a_constructor_that_takes_anything_gets_anything() -> None:
    def target(channels: int, **more: Any) -> None: ...

    assert read({"colour": 1}, names=OptionNames(), target=target) == {"channels": 64, "colour": 1}


# --- The width of a bottleneck --------------------------------------------------------------------

CHANNELS = st.integers(1, 2048)


@given(CHANNELS, st.floats(0.01, 2), st.sampled_from([1, 4, 8]), st.sampled_from([0.0, 0.9]))
def test_rd_ratio_is_timms_rule(channels: int, ratio: float, divisor: int, limit: float) -> None:
    names = OptionNames(width=Width(divisor=divisor, limit=limit))
    found = read({"rd_ratio": ratio}, channels, names)["reduced_channels"]
    assert found == make_divisible(channels * ratio, divisor, round_limit=limit)
    stated = OptionNames(width=Width(limit=limit))
    assert (
        read({"rd_ratio": ratio, "rd_divisor": divisor}, channels, stated)["reduced_channels"]
        == found
    )


@given(CHANNELS, st.integers(1, 64), st.integers(1, 32))
def test_every_form_of_a_width_is_the_same_width(channels: int, divisor: int, least: int) -> None:
    names = OptionNames(width=Width(minimum=least))
    width = max(least, channels // divisor)
    assert read({"ratio": 1 / divisor}, channels, names)["reduced_channels"] == width
    found = read({"reduction": divisor, "rd_channels": width}, channels, names)
    assert found == {"channels": channels, "reduced_channels": width}
    assert read({"reduction": divisor}, channels, names)["reduction"] == divisor
    assert bottleneck_width(channels, divisor, minimum=least) == width


def test_a_width_may_be_of_another_option_and_by_another_name() -> None:
    def target(
        planes: PositiveInt, *, reduction: PositiveFloat = 4, hidden: PositiveInt | None = None
    ) -> None: ...

    names = OptionNames(
        channels=("planes",), width=Width(option="hidden", of="planes", factor=2, divisor=1)
    )
    assert read({"ratio": 0.25}, 64, names, target) == {"planes": 64, "hidden": 32}


# --- Values ---------------------------------------------------------------------------------------

MaybeWidth: TypeAlias = PositiveInt | None

ALLOWED: list[tuple[Any, Any, Any]] = [
    (PositiveInt, 2.0, 2),
    (Count, 0, 0),
    (OddInt, 7, 7),
    (PositiveFloat, 2, 2.0),
    (NonNegativeFloat, 0, 0.0),
    (Share, 1, 1.0),
    (DropRate, 0, 0.0),
    (bool, False, False),
    (str, "x", "x"),
    (MaybeWidth, None, None),
    (float | int, 2, 2),
    (float | int, 2.5, 2.5),
    (Literal[0, 1], 1, 1),
    (Literal["a", None], None, None),
    (Sequence[PositiveInt], [1, 2.0], [1, 2]),
    (Sequence[PositiveInt], range(1, 3), (1, 2)),
    (Sequence[PositiveInt | Literal[-1]], (3, -1), (3, -1)),
    (tuple[PositiveInt, Share], [3, 1], (3, 1.0)),
    (tuple[PositiveInt, ...], (1, 2, 3), (1, 2, 3)),
    (Size, 7, 7),
    (Size, [7, 5.0], (7, 5)),
    (Any, Path("x"), Path("x")),
]

REFUSED: list[tuple[Any, Any, str]] = [
    (PositiveInt, 0, "a whole number of at least 1"),
    (PositiveInt, 2.5, "a whole number of at least 1"),
    (PositiveInt, True, "a whole number of at least 1"),
    (PositiveInt, "2", "a whole number of at least 1"),
    (Count, -1, "a whole number of at least 0"),
    (OddInt, 2, "a whole number of at least 1 and that is odd"),
    (Annotated[int, AtLeast(2), AtMost(5)], 6, "a whole number of at least 2 and of at most 5"),
    (PositiveFloat, 0, "a finite number above 0"),
    (float, "0.5", "a finite number"),
    (float, math.inf, "a finite number"),
    (float, True, "a finite number"),
    (NonNegativeFloat, -0.1, "a finite number of at least 0"),
    (Share, 1.1, "a finite number of at least 0 and of at most 1"),
    (DropRate, 1, "a finite number of at least 0 and below 1"),
    (bool, 0, "True or False"),
    (str, 1, "a string"),
    (Literal["a", "b"], "c", "one of 'a', 'b'"),
    (Literal[0, 1], True, "one of 0, 1"),
    (MaybeWidth, 0, "a whole number of at least 1 or None"),
    (Sequence[PositiveInt], 3, "a sequence, each item a whole number of at least 1"),
    (Sequence[str], "abc", "a sequence, each item a string"),
    (Sequence[PositiveInt], [1, 0], "a sequence, each item a whole number of at least 1"),
    (tuple[str, bool], ("a",), "a sequence of 2: a string, True or False"),
    (
        Size,
        (7, 5, 3),
        "a whole number of at least 1 or a sequence of 2, each item a whole number of at least 1",
    ),
]


@pytest.mark.parametrize(("annotation", "value", "expected"), ALLOWED)
def test_a_value_becomes_what_its_annotation_says(
    annotation: Any, value: Any, expected: Any
) -> None:
    found = converted(value, annotation)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("annotation", "value", "words"), REFUSED)
def test_a_value_that_its_annotation_excludes_is_refused(
    annotation: Any, value: Any, words: str
) -> None:
    with pytest.raises(ValueError):
        converted(value, annotation)
    assert phrase(annotation) == words


@given(st.one_of(st.integers(), st.floats(), st.text(), st.booleans(), st.none()))
def test_a_bounded_number_is_within_its_bounds_or_refused(value: Any) -> None:
    try:
        found = converted(value, Share)
    except ValueError:
        assert isinstance(value, bool | str | None) or not 0 <= value <= 1
    else:
        assert type(found) is float and found == value and 0 <= found <= 1


def test_a_size_is_a_pair() -> None:
    assert as_pair(7) == (7, 7)
    assert as_pair((7, 5)) == (7, 5)
