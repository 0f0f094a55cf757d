"""The registry: one owner a name, problems reported once, no order of asking that matters."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

import zoo
from zoo.build.plan import make_plan
from zoo.errors import PluginError, PluginWarning
from zoo.registry import Registry

TARGET = "torch.nn:Identity"
A = ("a",)


def plugin(name: str, **hooks: Any) -> Any:
    """A plugin object: hook name -> what it returns, or an exception that it raises."""

    def implementation(value: Any) -> Any:
        def hook() -> Any:
            if isinstance(value, BaseException):
                raise value
            return value

        return zoo.hookimpl(hook)

    return SimpleNamespace(
        __name__=name, **{hook: implementation(value) for hook, value in hooks.items()}
    )


def attention(name: str, **more: Any) -> zoo.AttentionSpec:
    return zoo.AttentionSpec(name=name, target=TARGET, **more)


def model(name: str, **more: Any) -> zoo.ModelSpec:
    return zoo.ModelSpec(name=name, target=TARGET, **more)


def backbone(name: str, **more: Any) -> zoo.BackboneSpec:
    return zoo.BackboneSpec(name=name, target=TARGET, **more)


def problems(*plugins: Any) -> dict[str, list[str]]:
    """The problems of each given plugin; there is one warning for each that has any."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = [row for row in Registry(plugins).plugins if row.origin == "given"]
    said = [str(w.message) for w in caught if w.category is PluginWarning]
    for row in rows:
        assert sum(f"plugin {row.name} " in text for text in said) == bool(row.problems)
    return {row.name: row.problems for row in rows}


def test_specs_of_a_plugin_are_found() -> None:
    registry = Registry([plugin("p", zoo_attentions=[attention("gate", aliases=("g",))])])
    assert registry.attentions["gate"].target == TARGET
    assert registry.aliases["g"] == "gate"
    assert registry.owner(registry.attentions["gate"]) == "plugin p (given)"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"zoo_attentions": [attention("a")]}, {"zoo_attentions": [attention("a")]}),
        ({"zoo_attentions": [attention("a")]}, {"zoo_attentions": [attention("b", aliases=A)]}),
        ({"zoo_models": [model("m")]}, {"zoo_models": [model("m")]}),
        ({"zoo_models": [model("m")]}, {"zoo_backbones": [backbone("m")]}),
        ({"zoo_backbones": [backbone("m")]}, {"zoo_models": [model("m")]}),
        ({"zoo_backbones": [backbone("m", aliases=("n",))]}, {"zoo_models": [model("n")]}),
    ],
)  # fmt: skip
def test_two_claims_of_one_name_name_both_plugins(first: Any, second: Any) -> None:
    found = problems(plugin("one", **first), plugin("two", **second))
    assert found["one"] == []
    assert len(found["two"]) == 1
    assert "already claimed by plugin one" in found["two"][0]


@pytest.mark.parametrize(
    ("offer", "reason"),
    [
        ({"zoo_attentions": [attention("cbam")]}, "plugin zoo-mixed"),
        ({"zoo_attentions": [attention("mine", aliases=("sk",))]}, "plugin zoo-channel"),
        ({"zoo_models": [model("resnet50")]}, "timm model"),
        ({"zoo_backbones": [backbone("eca_nfnet_l0")]}, "timm model"),
        ({"zoo_models": [model("gc_vgg11")]}, "already means global_context (plugin zoo-channel)"),
        ({"zoo_backbones": [backbone("se_vgg11")]}, "already means se (plugin zoo-channel)"),
        ({"zoo_models": [model("ok", aliases=("resnet18",))]}, "timm model"),
    ],
)
def test_taken_names_are_refused(offer: Any, reason: str) -> None:
    (found,) = problems(plugin("p", **offer)).values()
    assert len(found) == 1
    assert reason in found[0]


def weights(model: str, tag: str, **more: Any) -> zoo.WeightsSpec:
    return zoo.WeightsSpec(model=model, tag=tag, kind="published", repository="org/net", **more)


@pytest.mark.parametrize(
    ("name", "tag", "mine", "reason"),
    [
        ("resnet50", "a1_in1k", "mine", "resnet50.mine are not the default: resnet50.a1_in1k is"),
        ("stn_mnist", "zoo_mnist_r", "mine", "stn_mnist.mine are not the default: stn_mnist."),
        ("resnet50", "a1_in1k", "a1_in1k", "weights resnet50.a1_in1k are already stated"),
    ],
)
def test_weights_of_a_plugin_do_not_take_the_place_of_others(
    name: str, tag: str, mine: str, reason: str
) -> None:
    with pytest.warns(PluginWarning, match=reason):
        registry = Registry([plugin("p", zoo_weights=[weights(name, mine, default=True)])])
        chosen: Any = make_plan(name, registry, pretrained=True).weights
    assert chosen.tag == tag and chosen.repository != "org/net"
    if mine != tag:  # by its tag it can be had
        chosen = make_plan(f"{name}.{mine}", registry, pretrained=True).weights
        assert chosen.repository == "org/net"


def test_weights_that_are_no_default_leave_timm_s_the_default() -> None:
    registry = Registry([plugin("p", zoo_weights=[weights("resnet50", "mine")])])
    chosen: Any = make_plan("resnet50", registry, pretrained=True).weights
    assert chosen.repository == "timm/resnet50.a1_in1k"


def test_weights_may_be_stated_by_an_alias_of_the_model() -> None:
    offer = {"zoo_models": [model("net", aliases=("n",))], "zoo_weights": [weights("n", "a")]}
    assert list(Registry([plugin("p", **offer)]).weights)[-1] == ("net", "a")


def test_a_plugin_may_name_compositions_of_its_own_attention() -> None:
    mine = plugin("p", zoo_attentions=[attention("gate")], zoo_models=[model("gate_resnet18")])
    assert problems(mine) == {"p": []}


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (7, "zoo_attentions failed: TypeError"),
        ([7], "zoo_attentions returned 7, which is no AttentionSpec"),
        ("se", "zoo_attentions returned 's'"),
        ([model("m")], "which is no AttentionSpec"),
        (ValueError("on purpose"), "zoo_attentions failed: ValueError: on purpose"),
        (count(), "zoo_attentions returned 0 and 99999 more, which is no AttentionSpec"),
        (asyncio.CancelledError("later"), "zoo_attentions failed: CancelledError: later"),
        ([object.__new__(zoo.AttentionSpec)], "a spec cannot be read: AttributeError"),
        (SystemExit("bye"), "zoo_attentions failed: SystemExit: bye"),
        ([zoo.AttentionSpec(name="x", target="no_such_package.at_all:X")], "cannot be found"),
        ([zoo.AttentionSpec(name="x", target="zoo.no_such_module:X")], "there is no module"),
        ([zoo.AttentionSpec(name="x", target="zoo.errors:NoSuchError")], "has no NoSuchError"),
    ],
)
def test_junk_is_reported_and_costs_nothing_else(result: Any, reason: str) -> None:
    good = plugin("good", zoo_attentions=[attention("fine")])
    bad = plugin("bad", zoo_attentions=result, zoo_backbones=[backbone("still_here")])
    with pytest.warns(PluginWarning, match="plugin bad"):
        registry = Registry([bad, good])
        assert {"fine", "se", "cbam"} <= registry.attentions.keys()
        assert "still_here" in registry.backbones
    (row,) = [row for row in registry.plugins if row.name == "bad"]
    assert row.status == "degraded"
    assert any(reason in problem for problem in row.problems)


def test_good_specs_beside_junk_are_kept() -> None:
    mixed = plugin("p", zoo_attentions=[None, attention("kept"), object()])
    with pytest.warns(PluginWarning):
        assert "kept" in Registry([mixed]).attentions


def test_one_spec_alone_is_taken_for_a_list_of_one() -> None:
    assert "gate" in Registry([plugin("p", zoo_attentions=attention("gate"))]).attentions


def test_an_interrupt_is_the_users_not_the_plugins() -> None:
    with pytest.raises(KeyboardInterrupt):
        _ = Registry([plugin("p", zoo_attentions=KeyboardInterrupt())]).attentions


class Unhashable:
    """A plugin object that cannot be put in a set, and whose repr raises."""

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    @zoo.hookimpl
    def zoo_attentions(self) -> Iterator[Any]:
        yield attention("from_unhashable")
        yield self


def test_an_awkward_object_disturbs_no_other_plugin() -> None:
    good = plugin("good", zoo_attentions=[attention("fine")])
    with pytest.warns(PluginWarning, match="Unhashable"):
        registry = Registry([Unhashable(), good])
        assert {"fine", "from_unhashable", "se"} <= registry.attentions.keys()


@pytest.mark.parametrize("value", ["1", "yes"])
def test_strictness_raises_every_time(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_STRICT_PLUGINS", value)
    registry = Registry([plugin("p", zoo_attentions=[7])])
    for _ in range(2):
        with pytest.raises(PluginError, match="plugin p .*returned 7"):
            _ = registry.attentions


def test_strictness_zero_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_STRICT_PLUGINS", "0")
    with pytest.warns(PluginWarning):
        _ = Registry([plugin("p", zoo_attentions=[7])]).attentions


def test_weights_stated_twice_are_the_firsts() -> None:
    def weights(notes: str) -> zoo.WeightsSpec:
        return zoo.WeightsSpec(model="m", tag="t", kind="unpublished", notes=notes)

    one, two = plugin("one", zoo_weights=[weights("1")]), plugin("two", zoo_weights=[weights("2")])
    with pytest.warns(PluginWarning, match="plugin two .*m.t are already stated"):
        assert Registry([one, two]).weights["m", "t"].notes == "1"


def test_many_threads_ask_a_plugin_once() -> None:
    calls: list[int] = []

    class Counting:
        @zoo.hookimpl
        def zoo_attentions(self) -> list[zoo.AttentionSpec]:
            calls.append(1)
            return [attention("counted")]

    registry = Registry([Counting()])
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: registry.attentions["counted"], range(32)))
    assert len(calls) == 1 and len(set(map(id, found))) == 1
