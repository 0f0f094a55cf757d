"""Loading: each plugin alone, each fault one reason. Installed ones are in tests/packaging."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import zoo
from zoo.registry import plugins
from zoo.registry.plugins import Plugin, describe, discover
from zoo.version import DISTRIBUTION

ROOT = Path(__file__).parents[2]


def row(item: object) -> Plugin:
    """The row of a plugin that is given as an object."""
    return discover([item])[-1]


def installed(monkeypatch: pytest.MonkeyPatch, *points: Any) -> list[Plugin]:
    """The rows of entry points that a fake environment has beside the zoo."""
    own = [each for each in entry_points(group=plugins.GROUP) if each.dist.name == DISTRIBUTION]  # pyright: ignore[reportOptionalMemberAccess]
    monkeypatch.setattr(plugins, "entry_points", lambda group: [*own, *points])
    return [plugin for plugin in discover() if plugin.distribution != DISTRIBUTION]


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, plugins.GROUP)


def test_the_zoos_own_plugins_are_the_entry_points_of_its_distribution() -> None:
    rows = {plugin.name: plugin for plugin in discover() if plugin.distribution == DISTRIBUTION}
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert rows.keys() == stated["project"]["entry-points"][plugins.GROUP].keys()
    assert {plugin.status for plugin in rows.values()} == {"ok"}


def test_hooks_are_those_of_the_page() -> None:
    assert plugins.HOOKS == (
        "zoo_attentions", "zoo_backbones", "zoo_models", "zoo_weights", "zoo_recipes",
        "zoo_datasets", "zoo_commands",
    )  # fmt: skip


def test_a_misspelt_hook_gets_the_right_one() -> None:
    @zoo.hookimpl
    def zoo_atentions() -> list[object]:
        return []

    found = row(SimpleNamespace(zoo_atentions=zoo_atentions))
    assert found.status == "degraded"
    assert found.problems == ["unknown hook zoo_atentions; did you mean zoo_attentions?"]


def test_a_hook_without_its_mark_is_seen() -> None:
    found = row(SimpleNamespace(zoo_models=lambda: []))
    assert found.problems == ["zoo_models is not marked with @zoo.hookimpl"]


@pytest.mark.parametrize("item", [ModuleType("empty"), 42, [], {}, "zoo"])
def test_what_offers_no_hook_is_seen(item: object) -> None:
    assert row(item).problems == ["offers no hook; mark functions with @zoo.hookimpl"]


def test_a_hook_with_a_wrong_argument_is_no_plugin() -> None:
    @zoo.hookimpl
    def zoo_attentions(registry: object) -> list[object]:
        return []

    found = row(SimpleNamespace(zoo_attentions=zoo_attentions))
    assert found.status == "failed"
    assert "registry" in found.problems[0]


def test_a_second_plugin_of_one_name_leaves_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = installed(monkeypatch, point("zoo-channel", "json"), point("zoo-channel", "this"))
    assert [r.status for r in rows] == ["failed", "failed"]
    assert "has a plugin 'zoo-channel' already" in rows[0].problems[0]
    first = next(plugin for plugin in discover() if plugin.name == "zoo-channel")
    assert list(first.call("zoo_attentions"))


def test_one_object_under_two_names_is_one_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = installed(monkeypatch, point("again", "zoo_plugins.mechanisms.channel"))
    assert "same object as plugin zoo-channel" in found.problems[0]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_module", "ModuleNotFoundError"),
        ("json:no_such_attribute", "AttributeError"),
        ("not a reference!", "cannot be loaded"),
        ("builtins:None", "cannot be loaded"),
    ],
)
def test_an_entry_point_that_leads_nowhere(
    value: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = installed(monkeypatch, point("lost", value))
    assert found.status == "failed"
    assert reason in found.problems[0]


def test_unreadable_metadata_leaves_out_that_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unreadable:
        @property
        def entry_points(self) -> Any:
            raise ValueError("not an entry point")

    def fail(group: str) -> Any:
        raise ValueError("not an entry point")

    readable = SimpleNamespace(
        entry_points=SimpleNamespace(select=lambda group: [point("odd", "no_such_module")])
    )
    monkeypatch.setattr(plugins, "entry_points", fail)
    monkeypatch.setattr(plugins, "distributions", lambda: [Unreadable(), readable])
    assert [plugin.name for plugin in discover() if plugin.distribution != DISTRIBUTION] == ["odd"]


@pytest.mark.parametrize(
    ("only", "expected"),
    [("a", ["a"]), ("b,a", ["a", "b"]), (" a , ", ["a"]), ("", []), ("zoo-channel", [])],
)
def test_zoo_plugins_limits_what_is_loaded(
    only: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_PLUGINS", only)
    rows = installed(monkeypatch, point("b", "no_b"), point("a", "no_a"), point("c", "no_c"))
    assert [r.name for r in rows] == expected


def test_zoo_plugins_of_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_PLUGINS", "nobody")
    (found,) = installed(monkeypatch)
    assert (found.name, found.status) == ("nobody", "failed")
    assert "no installed distribution offers it" in found.problems[0]


class Speechless(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("one\n  two"), "ValueError: one two"),
        (KeyError(), "KeyError"),
        (SystemExit(3), "SystemExit: 3"),
        (Speechless(), "Speechless"),
        (zoo.errors.SpecError("what", where="there", remedy="do"), "what (there), try do"),
    ],
)
def test_errors_are_described_in_a_line(error: BaseException, text: str) -> None:
    assert describe(error) == text
