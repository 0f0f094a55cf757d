"""Listings: patterns, filters, and what is known of a model without building it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

import zoo
from zoo.build.plan import make_plan
from zoo.errors import UnknownNameError, UsageError
from zoo.registry import default_registry, timm_index
from zoo.registry.catalogue import goes_into_backbones
from zoo.registry.specs import WeightsSpec


def test_lists_are_sorted_and_without_repeats() -> None:
    for names in (zoo.list_models(), zoo.list_attentions(), zoo.list_backbones()):
        assert names and names == sorted(set(names))


def test_patterns_are_a_shells() -> None:
    assert zoo.list_attentions("cbam*") == ["cbam", "cbam_channel", "cbam_spatial"]
    beginning = {n for n in zoo.list_attentions() if n[0] in "es"}
    assert beginning <= set(zoo.list_attentions("[es]*")) < set(zoo.list_attentions())
    assert zoo.list_backbones("resnet50") == ["resnet50"]
    assert zoo.list_models("no such thing*") == []


def test_an_alias_matches_for_its_mechanism() -> None:
    assert zoo.list_attentions("gc") == ["global_context"]
    assert zoo.list_attentions("sk") == ["selective_kernel"]


def test_filters_are_a_partition() -> None:
    specs = default_registry().attentions.values()
    for key in ("family", "contract", "kind"):
        values = {getattr(spec, key) for spec in specs}
        found = [name for value in values for name in zoo.list_attentions(**{key: value})]
        assert sorted(found) == zoo.list_attentions()
    assert zoo.list_attentions(family="no such family") == []


def test_compositions_are_every_mechanism_that_goes_into_every_backbone() -> None:
    found = set(zoo.list_models("*_resnet50", composed=True))
    specs = default_registry().attentions.values()
    goes = {f"{s.name}_resnet50" for s in specs if goes_into_backbones(s)}
    stays = {f"{s.name}_resnet50" for s in specs if not goes_into_backbones(s)}
    assert goes <= found
    assert not (stays & found) - set(zoo.list_models())


def test_pretrained_names_only_what_has_weights() -> None:
    everything, pretrained = zoo.list_models(), zoo.list_models(pretrained=True)
    assert set(pretrained) < set(everything)
    for name in everything:
        kinds = {w["kind"] for w in zoo.model_info(name)["weights"] if w["default"]}
        assert bool(kinds & {"bundled", "published"}) == (name in pretrained), name
    index = timm_index.architectures()
    assert zoo.list_backbones(pretrained=True) == sorted(n for n in index if index[n])


@pytest.mark.parametrize("name", ["cbam_resnet50", "resnet50", "gc_regnety_032", "ram_28"])
def test_what_is_known_of_a_model_is_plain_data(name: str) -> None:
    info = zoo.model_info(name)
    assert json.loads(json.dumps(info))["name"] == info["name"]


@pytest.mark.parametrize(
    ("name", "backbone"),
    [("cbam_resnet50", "resnet50.a1_in1k"), ("simam_mobilenetv2_100", "mobilenetv2_100.ra_in1k")],
)
def test_a_warm_start_is_no_weights_of_the_models_own(name: str, backbone: str) -> None:
    info = zoo.model_info(name)
    assert info["weights"] == [] and info["warm_start"]["weights"] == backbone
    assert "untrained" in info["warm_start"]["attention"]
    assert name not in zoo.list_models(pretrained=True, composed=True)
    plan = make_plan(name, default_registry(), pretrained=True)
    assert plan.warm and isinstance(plan.weights, WeightsSpec)
    assert (plan.weights.repository, dict(plan.weights.metrics)) == (f"timm/{backbone}", {})


@pytest.mark.parametrize("name", ["se_resnet50", "ram_mnist", "resnet50", "stn_svhn"])
def test_what_has_weights_or_no_attention_starts_warm_from_none(name: str) -> None:
    assert zoo.model_info(name)["warm_start"] is None


def test_a_composition_says_what_it_is_made_of() -> None:
    info = zoo.model_info("sk_regnety_032")
    assert (info["attention"], info["backbone"]) == ("selective_kernel", "regnety_032")
    assert info["paper"]["url"] == "https://arxiv.org/abs/1903.06586"


def test_every_attention_can_be_described() -> None:
    for name in zoo.list_attentions():
        info = json.loads(json.dumps(zoo.attention_info(name)))
        assert info["paper"]["title"] and info["plugin"].startswith("plugin zoo-")


@pytest.mark.parametrize("ask", [zoo.model_info, zoo.attention_info])
def test_unknown_names_are_the_zoos_error(ask: object) -> None:
    assert callable(ask)
    with pytest.raises(UnknownNameError):
        ask("no_such_thing")


@pytest.mark.parametrize("pattern", [None, 5, ["*"], b"*"])
@pytest.mark.parametrize("ask", [zoo.list_models, zoo.list_attentions, zoo.list_backbones])
def test_a_pattern_is_a_string(ask: Callable[..., object], pattern: object) -> None:
    with pytest.raises(UsageError, match="pattern"):
        ask(pattern)


def test_the_index_of_timms_names_is_true() -> None:
    """The shipped file is what the installed timm says; `timm_index.build` makes it."""
    text = timm_index.build()
    assert timm_index.architectures() == timm_index._parse(text)
