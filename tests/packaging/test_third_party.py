"""Broken plugins, really installed: each is one row and one warning, and all else works."""

from __future__ import annotations

import json
from typing import Any

import pytest
from environment import Environment
from third_party import BROKEN, GOOD, build, write

pytestmark = pytest.mark.long

Rows = dict[str, dict[str, Any]]
COMPOSE = """
import sys, warnings, zoo
warnings.simplefilter("ignore", zoo.errors.PluginWarning)
for name in sys.argv[1:]:
    model = zoo.create_model(name, num_classes=3)
    print(name, sum(type(m).__name__ in ("Gate", "SqueezeExcite") for m in model.modules()))
"""


@pytest.fixture(scope="session")
def crowd(installed: Environment, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The zoo with every third-party plugin, broken and good, in one environment."""
    folder = tmp_path_factory.mktemp("third_party")
    (folder / "sources").mkdir()
    environment = Environment(folder / "environment", installed)
    environment.install(*build(write(folder / "sources"), folder / "wheels"))
    return environment


@pytest.fixture(scope="session")
def report(crowd: Environment) -> tuple[Rows, list[str]]:
    """The rows of `zoo plugins`, and the lines on stderr."""
    done = crowd.zoo("plugins", "--json")
    assert done.returncode == 0, done.stderr
    return {row["name"]: row for row in json.loads(done.stdout)}, done.stderr.splitlines()


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_one_row_with_the_reason(name: str, report: tuple[Rows, Any]) -> None:
    row = report[0][name]
    assert row["status"] == BROKEN[name].status
    assert row["origin"] == f"zoo-x-{name} 1.2"
    assert any(BROKEN[name].reason in problem for problem in row["problems"])


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_named_by_one_warning(name: str, report: tuple[Any, list[str]]) -> None:
    named = [line for line in report[1] if line.startswith(f"warning: plugin {name} ")]
    assert len(named) == 1
    assert BROKEN[name].reason in named[0]


def test_there_are_no_other_rows_and_no_other_warnings(report: tuple[Rows, list[str]]) -> None:
    rows, lines = report
    own = {name for name, row in rows.items() if row["origin"].startswith("attention-zoo ")}
    assert rows.keys() - own == BROKEN.keys() | GOOD.keys()
    assert {rows[name]["status"] for name in own | GOOD.keys()} == {"ok"}
    warned = [line for line in lines if line.startswith("warning: ")]
    assert len(warned) == len(BROKEN)
    assert set(lines) - set(warned) == {"hello from import", "and again"}  # not on stdout


def test_a_plain_listing_has_a_line_for_each(crowd: Environment) -> None:
    lines = crowd.zoo("plugins").stdout.splitlines()
    for name, broken in BROKEN.items():
        (line,) = [line for line in lines if line.startswith(f"{name} ")]
        assert broken.status in line and broken.reason in line


@pytest.mark.parametrize("name", BROKEN)
def test_strictness_raises_instead(name: str, crowd: Environment) -> None:
    only = ",".join(filter(None, [name, BROKEN[name].needs]))
    done = crowd.zoo("plugins", ZOO_PLUGINS=only, ZOO_STRICT_PLUGINS="1")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: plugin {name} (zoo-x-{name} 1.2): ")
    assert BROKEN[name].reason in done.stderr
    assert f"pip uninstall zoo-x-{name}" in done.stderr
    assert "Traceback" not in done.stderr


def test_strictness_has_nothing_against_good_plugins(crowd: Environment) -> None:
    done = crowd.zoo("plugins", ZOO_PLUGINS=",".join(GOOD), ZOO_STRICT_PLUGINS="1")
    assert done.returncode == 0
    assert "error" not in done.stderr and "warning" not in done.stderr


def test_everything_else_works(crowd: Environment, installed: Environment) -> None:
    without = installed.zoo("list", "--attentions", "--json")
    beside = crowd.zoo("list", "--attentions", "--json")
    more = set(json.loads(beside.stdout)) - set(json.loads(without.stdout))
    assert more == {"contested", "minimal"}
    assert "hello  " in crowd.zoo("--help").stdout
    assert crowd.zoo("hello").returncode == 0


def test_models_are_composed_beside_broken_plugins(crowd: Environment) -> None:
    done = crowd("-c", COMPOSE, "se_resnet18", "minimal_resnet18", "contested_vgg11_bn")
    assert done.returncode == 0, done.stderr
    counts = [line.split() for line in done.stdout.splitlines()]
    assert [name for name, _ in counts] == ["se_resnet18", "minimal_resnet18", "contested_vgg11_bn"]
    assert all(int(count) > 0 for _, count in counts)


@pytest.mark.parametrize(
    ("only", "expected"),
    [("minimal", {"minimal"}), ("minimal, raises", {"minimal", "raises"}), ("", set())],
)
def test_zoo_plugins_limits_the_installed_ones(
    only: str, expected: set[str], crowd: Environment
) -> None:
    rows = json.loads(crowd.zoo("plugins", "--json", ZOO_PLUGINS=only).stdout)
    assert {r["name"] for r in rows if not r["origin"].startswith("attention-zoo ")} == expected
    assert any(r["origin"].startswith("attention-zoo ") for r in rows)


def test_zoo_plugins_that_is_not_installed_is_a_row(crowd: Environment) -> None:
    done = crowd.zoo("plugins", "--json", ZOO_PLUGINS="minimall")
    (row,) = [r for r in json.loads(done.stdout) if r["name"] == "minimall"]
    assert row["status"] == "failed" and "ZOO_PLUGINS" in row["problems"][0]
