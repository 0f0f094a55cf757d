"""Specs are plain frozen data that refuse what cannot be."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import zoo
from zoo.errors import SpecError

TARGET = "package.module:Class"


def test_an_attention_needs_only_a_name_and_a_target() -> None:
    spec = zoo.AttentionSpec(name="gate", target=TARGET)
    assert (spec.contract, spec.insertion.role, spec.insertion.identity, spec.kind) == (
        "map", "refine", "residual", "soft",
    )  # fmt: skip


@pytest.mark.parametrize(
    "spec",
    [
        zoo.AttentionSpec(
            name="gate", target=TARGET, options=zoo.OptionNames(defaults={"reduction": 4})
        ),
        zoo.BackboneSpec(name="net", target=TARGET),
        zoo.ModelSpec(name="gate_net", attention="gate", backbone="net"),
        zoo.DatasetSpec(name="digits", target=TARGET),
        zoo.WeightsSpec(model="net", tag="ours", kind="unpublished"),
        zoo.Paper(title="A paper"),
    ],
    ids=lambda spec: type(spec).__name__,
)
def test_specs_are_frozen_and_can_be_pickled_and_replaced(spec: Any) -> None:
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert dataclasses.replace(spec) == spec
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(spec, dataclasses.fields(spec)[0].name, "other")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "lower-case identifier"),
        ({"name": "Gate"}, "'Gate'"),
        ({"name": "my-gate"}, "'my-gate'"),
        ({"name": "gate\n"}, "lower-case identifier"),
        ({"name": None}, "None"),
        ({"target": "package.module.Class"}, "package.module:attribute"),
        ({"target": "os.system('x'):y"}, "package.module:attribute"),
        ({"target": None}, "None"),
        ({"aliases": "abc"}, "tuple of strings"),
        ({"aliases": ("G",)}, "'G'"),
        ({"kind": "medium"}, "'soft', 'hard'"),
        ({"contract": "map->map"}, "'map'"),
        ({"insertion": "exact"}, "zoo.Insertion(...)"),
        ({"role": "refine"}, "insertion=zoo.Insertion(role=...)"),
        ({"paper": None}, "provenance=zoo.Provenance(paper=...)"),
        ({"colour": "red"}, "no field 'colour'"),
        (
            {"paper": None, "role": "refine"},
            "no field 'paper' and no field 'role'\n  where: AttentionSpec('gate')\n  try:   "
            "provenance=zoo.Provenance(paper=...), insertion=zoo.Insertion(role=...)",
        ),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match="AttentionSpec") as error:
        zoo.AttentionSpec(**{"name": "gate", "target": TARGET, **changes})
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: zoo.Trial(dead_parameters="bias"), "tuple of strings"),  # pyright: ignore
        (lambda: zoo.OptionNames(defaults=3), "mapping"),  # pyright: ignore
        (lambda: zoo.Insertion(role="decorate"), "'refine', 'replace_conv'"),  # pyright: ignore
        (lambda: zoo.Insertion(identity="perfect"), "'exact', 'residual'"),  # pyright: ignore
        (lambda: zoo.Insertion(placement="everywhere"), "'block'"),  # pyright: ignore
        (lambda: zoo.ModelSpec(name="net"), "a target, or an attention and a backbone"),
        (lambda: zoo.ModelSpec(name="net", attention="se"), "an attention and a backbone"),
        (lambda: zoo.ModelSpec(name="net", target="net"), "package.module:attribute"),
        (lambda: zoo.BackboneSpec(name="net", target=TARGET, aliases=("a b",)), "'a b'"),
        (lambda: zoo.DatasetSpec(name="Digits", target=TARGET), "'Digits'"),
    ],
)
def test_other_specs_refuse_too(make: Callable[[], object], said: str) -> None:
    with pytest.raises(SpecError) as error:
        make()
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "secret"}, "'bundled', 'published'"),
        ({"insertion": "glued"}, "'plain', 'exact', 'residual'"),
        ({"kind": "published"}, "a repository"),
        ({"kind": "bundled"}, "a path and a sha256"),
        ({"sha256": "abc"}, "64 hex digits"),
        ({"revision": "main"}, "40-hex commit"),
    ],
)
def test_weights_need_their_evidence(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as error:
        zoo.WeightsSpec(**{"model": "net", "tag": "ours", "kind": "unpublished", **changes})
    assert said in str(error.value)


def test_a_paper_has_an_address() -> None:
    assert zoo.Paper(title="SE", arxiv="1709.01507").url == "https://arxiv.org/abs/1709.01507"
    assert zoo.Paper(title="X", doi="10.1/2").url == "https://doi.org/10.1/2"
    assert zoo.Paper(title="X").url == ""
