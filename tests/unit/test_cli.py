"""The `zoo` program: output, exit codes, and which modules it never imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module

import pytest
from click.testing import CliRunner, Result

import zoo
from zoo import cli
from zoo.cli import COMMANDS
from zoo.registry import plugins

HEAVY = {"torch", "timm", "torchvision", "numpy", "rich", "huggingface_hub"}
LISTINGS = (
    ["list"],
    ["list", "--composed", "*resnet50"],
    ["list", "--attentions", "--json"],
    ["list", "--backbones", "--pretrained", "resnet*"],
    ["plugins"],
    ["plugins", "--json"],
    ["info", "cbam"],
    ["info", "cbam_resnet50"],
    ["--help"],
    ["--version"],
)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli.cli, arguments)


def fresh(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter of its own, then print which heavy modules it imported."""
    tail = f"\nimport sys; print(*sorted({HEAVY!r} & sys.modules.keys()), file=sys.stderr)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code + tail, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


RUN = """
import sys
from zoo.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


@pytest.mark.parametrize("arguments", LISTINGS, ids=" ".join)
def test_listings_import_nothing_heavy(arguments: list[str]) -> None:
    done = fresh(RUN, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout and done.stderr.strip() == ""


@pytest.mark.parametrize(
    "code",
    [
        "import zoo",
        "import zoo; zoo.list_models(composed=True); zoo.model_info('se_resnet50')",
        "from zoo import AttentionSpec, ModelSpec, hookimpl, Registry, ZooError",
        "from zoo.registry import Registry; Registry().plugins",
        *(f"import {target}" for target in sorted(p.target for p in plugins.discover())),
    ],
)
def test_the_torch_free_half_imports_nothing_heavy(code: str) -> None:
    done = fresh(code)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == ""


def test_everything_public_is_there() -> None:
    for name in zoo.__all__:
        assert getattr(zoo, name) is not None
    assert set(dir(zoo)) == set(zoo.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = zoo.no_such_name  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0, result.output
    assert "Usage: " in result.output and len(result.output.splitlines()) > 5


@pytest.mark.parametrize("name", ["list", "info", "eval", "verify", "train", "plugins"])
def test_the_main_commands_give_json(name: str) -> None:
    options = {o for p in import_module(f"zoo.cli.{name}").command.params for o in p.opts}
    assert "--json" in options


def test_list_gives_a_name_a_line() -> None:
    assert invoke("list", "--attentions").stdout.splitlines() == zoo.list_attentions()
    assert json.loads(invoke("list", "*cbam*", "--json").stdout) == zoo.list_models("*cbam*")


def test_an_empty_list_is_no_error() -> None:
    result = invoke("list", "nothing*")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing matches 'nothing*'" in result.stderr
    assert json.loads(invoke("list", "nothing*", "--json").stdout) == []


def test_info_as_json_is_model_info() -> None:
    found = json.loads(invoke("info", "cbam_resnet50", "--json").stdout)
    assert found == json.loads(json.dumps(zoo.model_info("cbam_resnet50")))
    assert json.loads(invoke("info", "sk", "--json").stdout)["name"] == "selective_kernel"


def test_a_wrong_name_is_one_message_and_exit_code_2() -> None:
    code = "import sys; sys.argv[1:] = ['info', 'cbm']\n" + RUN.replace("not end.code", "True")
    done = fresh(code + "\n    print(end.code)")
    assert done.stdout.strip() == "2"
    assert "did you mean cbam" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["no_such_command"], ["list", "--no-such-option"], ["info"]])
def test_a_wrong_call_exits_with_2(arguments: list[str]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
