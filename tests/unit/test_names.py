"""Names: exact models, timm's own, compositions, ambiguity, suggestions."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.layers.create_attn import get_attn

import zoo
from zoo.errors import AmbiguousNameError, UnknownNameError, UsageError
from zoo.registry import Registry, default_registry, names, timm_index

TIMM_OWNS = (
    "eca_resnet33ts", "eca_resnext26ts", "eca_nfnet_l0", "bat_resnext26ts", "lambda_resnet26t",
    "gc_efficientnetv2_rw_t",
)  # fmt: skip


class Extra:
    """A plugin with a second reading of `odd_resnet18`, a backbone, and a model."""

    @zoo.hookimpl
    def zoo_attentions(self) -> Iterable[zoo.AttentionSpec]:
        target = "torch.nn:Identity"
        yield zoo.AttentionSpec(name="odd", target=target, aliases=("strange",))
        yield zoo.AttentionSpec(name="odd_tiny", target=target)

    @zoo.hookimpl
    def zoo_backbones(self) -> Iterable[zoo.BackboneSpec]:
        yield zoo.BackboneSpec(name="tiny_net", target="torch.nn:Module", aliases=("tn",))
        yield zoo.BackboneSpec(name="net", target="torch.nn:Module")

    @zoo.hookimpl
    def zoo_models(self) -> Iterable[zoo.ModelSpec]:
        yield zoo.ModelSpec(
            name="odd_resnet34", attention="odd", backbone="resnet34", aliases=("thirtyfour",)
        )


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry(plugins=[Extra()])


@pytest.mark.parametrize("name", TIMM_OWNS)
def test_timms_own_names_stay_timms(name: str, registry: Registry) -> None:
    read = names.parse(name, registry)
    assert (read.attention, read.spec, read.backbone) == (None, None, name)


@pytest.mark.parametrize(
    ("name", "attention", "backbone", "canonical"),
    [
        ("cbam_resnet26", "cbam", "resnet26", "cbam_resnet26"),
        ("strange_resnet18", "odd", "resnet18", "odd_resnet18"),
        ("odd_tn", "odd", "tiny_net", "odd_tiny_net"),
        ("global_context_regnety_032", "global_context", "regnety_032", None),
        ("gc_regnety_032", "global_context", "regnety_032", "global_context_regnety_032"),
        ("simam_mobilenetv2_100", "simam", "mobilenetv2_100", None),
        ("eca_convnext_tiny.in12k_ft_in1k", "eca", "convnext_tiny", "eca_convnext_tiny"),
    ],
)
def test_a_composition(
    name: str, attention: str, backbone: str, canonical: str | None, registry: Registry
) -> None:
    read = names.parse(name, registry)
    assert read.attention is not None
    assert (read.attention.name, read.backbone) == (attention, backbone)
    assert read.name == (canonical or name)
    assert read.tag == name.partition(".")[2]


@pytest.mark.parametrize("name", ["odd_resnet34", "thirtyfour", "odd_resnet34.tag"])
def test_an_exact_model_comes_before_its_composition(name: str, registry: Registry) -> None:
    read = names.parse(name, registry)
    assert read.spec is not None and read.name == "odd_resnet34"


def test_a_plain_backbone_passes_through(registry: Registry) -> None:
    assert names.parse("resnet50.a1_in1k", registry).tag == "a1_in1k"
    assert names.parse("tn", registry).backbone == "tiny_net"


def test_two_readings_are_an_error_that_lists_both(registry: Registry) -> None:
    with pytest.raises(AmbiguousNameError) as error:
        names.parse("odd_tiny_net", registry)
    assert "odd_tiny in net or odd in tiny_net" in str(error.value)
    assert 'create_model("net", attention="odd_tiny")' in error.value.remedy


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("cbm_resnet50", "cbam_resnet50"),
        ("cbam_resnt50", "cbam_resnet50"),
        ("CBM_ResNet50", "cbam_resnet50"),
        ("resnt50", "resnet50"),
        ("eca_convnext_tinny", "eca_convnext_tiny"),
        ("odd_resnet3", "odd_resnet34"),
    ],
)
def test_a_wrong_model_gets_the_closest_right_one(
    wrong: str, right: str, registry: Registry
) -> None:
    with pytest.raises(UnknownNameError, match="zoo list") as error:
        names.parse(wrong, registry)
    assert right in str(error.value)
    assert wrong in str(error.value)


@pytest.mark.parametrize(("wrong", "right"), [("cbm", "cbam"), ("SimM", "simam")])
def test_a_wrong_attention_gets_the_closest_right_one(
    wrong: str, right: str, registry: Registry
) -> None:
    with pytest.raises(UnknownNameError, match="zoo list --attentions") as error:
        names.attention(wrong, registry)
    assert right in error.value.what


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("CBAM_ResNet50", "cbam_resnet50"),
        ("cbam-resnet50", "cbam_resnet50"),
        ("ResNet50.a1_in1k", "resnet50"),
        ("GC_RegNetY_032", "global_context_regnety_032"),
        ("ThirtyFour", "odd_resnet34"),
    ],
)
def test_capitals_and_hyphens_are_read(written: str, name: str, registry: Registry) -> None:
    assert names.parse(written, registry).name == name


@pytest.mark.parametrize(("written", "name"), [("CBAM", "cbam"), ("Squeeze-Excite", "se")])
def test_an_attention_in_capitals_is_read(written: str, name: str, registry: Registry) -> None:
    assert names.attention(written, registry).name == name


@pytest.mark.parametrize("wrong", [None, 3, b"resnet50", ["resnet50"], {"a": 1}])
@pytest.mark.parametrize("read", [names.parse, names.attention])
def test_a_name_is_a_string(wrong: Any, read: Any, registry: Registry) -> None:
    with pytest.raises(UnknownNameError, match="is a string"):
        read(wrong, registry)


def test_one_error_for_what_is_neither_model_nor_attention(registry: Registry) -> None:
    error = names.unknown("cbamm", registry)
    assert "no model and no attention 'cbamm'" in error.what and "cbam" in error.what


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_read_or_refused_by_the_zoo(text: str) -> None:
    try:
        read = names.parse(text, default_registry())
    except UsageError:
        return
    assert names.parse(read.name, default_registry()).name == read.name


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_composition_is_read_back(data: st.DataObject) -> None:
    registry = default_registry()
    attention = data.draw(st.sampled_from(sorted(registry.attentions)))
    backbone = data.draw(st.sampled_from(sorted(timm_index.architectures())))
    read = names.parse(f"{attention}_{backbone}", registry)
    if read.attention is not None:
        assert (read.attention.name, read.backbone) == (attention, backbone)
    else:  # the name is a model's of its own, timm's or the zoo's
        assert read.spec is not None or read.backbone == f"{attention}_{backbone}"


@pytest.mark.parametrize(
    ("name", "mechanisms"),
    [
        ("EMA", ("efficient_multi_scale", "ema_unit")),
        ("mca", ("multidimensional_collaborative", "multi_context")),
        ("SCA", ("simple_coordinate", "stacked_cross")),
    ],
)
def test_a_name_of_two_papers_names_both(name: str, mechanisms: tuple[str, ...]) -> None:
    for ask in (
        lambda: names.attention(name, default_registry()),
        lambda: names.parse(f"{name}_resnet18", default_registry()),
    ):
        with pytest.raises(AmbiguousNameError) as error:
            ask()
        assert all(mechanism in str(error.value) for mechanism in mechanisms)


def test_every_name_of_timms_create_attn_is_here() -> None:
    for name in re.findall(r"attn_type == '(\w+)'", inspect.getsource(get_attn)):
        assert names.attention(name, default_registry())
