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
from zoo.errors import UsageError
from zoo.registry import default_registry, plugins
from zoo.registry.specs import ROLES

HEAVY = {"torch", "timm", "torchvision", "numpy", "rich", "huggingface_hub"}
LISTINGS = (
    ["list"],
    ["list", "--composed", "*resnet50"],
    ["list", "--attentions"],
    ["list", "--attentions", "--json"],
    ["list", "coord", "--json"],
    ["list", "--backbones", "--pretrained", "resnet*"],
    ["plugins"],
    ["plugins", "--json"],
    ["info", "cbam"],
    ["info", "cbam_resnet50"],
    ["--help"],
    ["--version"],
)


def _begin(prefix: str) -> list[str]:
    return sorted(name for name in default_registry().datasets if name.startswith(prefix))


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
    assert invoke("list", "*resnet*").stdout.splitlines() == zoo.list_models("*resnet*")
    assert json.loads(invoke("list", "*cbam*", "--json").stdout) == zoo.list_models("*cbam*")


def test_each_attention_has_its_family_role_and_what_it_is() -> None:
    lines = invoke("list", "--attentions").stdout.splitlines()
    assert [line.split()[0] for line in lines] == zoo.list_attentions()
    for line in lines:
        name, rest = line.split(maxsplit=1)
        info = zoo.attention_info(name)
        assert rest.startswith(info["family"]) and ROLES[info["role"]] in rest
        assert info["summary"] and info["summary"] in rest
        assert str(info["paper"]["year"]) in rest
    (gate,) = (line for line in lines if line.startswith("se "))
    assert "Squeeze-and-excitation: each channel scaled by a gate in (0, 1)" in gate


@pytest.mark.parametrize("pattern", ["coord", "COORD", "*coord*"])
def test_a_part_of_a_name_finds_the_attention_too(pattern: str) -> None:
    found, named = invoke("list", pattern), zoo.list_attentions(f"*{pattern.strip('*').lower()}*")
    assert found.stdout.startswith("coordinate ") and "attentions do" in found.stderr
    assert set(json.loads(invoke("list", pattern, "--json").stdout)) == set(named) != set()
    assert invoke("list", "--attentions", pattern).stdout.startswith("coordinate ")


def test_a_part_of_a_name_finds_models_and_says_which_attentions() -> None:
    found = invoke("list", "cbam")
    assert found.stdout.splitlines() == zoo.list_models("*cbam*")
    assert "cbam, cbam_channel, cbam_spatial" in found.stderr
    backbones = invoke("list", "--backbones", "convnext_ti").stdout.splitlines()
    assert backbones == zoo.list_backbones("*convnext_ti*")
    assert invoke("list", "--backbones", "resnet50").stdout == "resnet50\n", "a name is itself"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--family", "nonsense"], "--family baseline | "),
        (["--attentions", "--family", "chanel"], "did you mean channel"),
        (["--backbones", "--family", "channel"], "--family says nothing of backbones"),
        (["--attentions", "--pretrained"], "--pretrained says nothing of attentions"),
        (["--attentions", "--composed"], "--composed says nothing of attentions"),
    ],
)
def test_what_cannot_be_listed_is_refused(arguments: list[str], said: str) -> None:
    result = invoke("list", *arguments)
    assert isinstance(result.exception, UsageError) and said in str(result.exception)


def test_a_name_that_is_wrong_gets_the_closest() -> None:
    assert "did you mean coordinate" in invoke("list", "cordinate").stderr


def test_attentions_are_not_listed_as_what_has_weights() -> None:
    found = invoke("list", "simam", "--pretrained")
    assert not found.stdout and "nothing matches 'simam'" in found.stderr


def test_an_empty_list_is_no_error() -> None:
    result = invoke("list", "nothing*")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing matches 'nothing*'" in result.stderr
    assert json.loads(invoke("list", "nothing*", "--json").stdout) == []


def test_info_as_json_is_model_info() -> None:
    found = json.loads(invoke("info", "cbam_resnet50", "--json").stdout)
    assert found == json.loads(json.dumps(zoo.model_info("cbam_resnet50")))
    assert json.loads(invoke("info", "sk", "--json").stdout)["name"] == "selective_kernel"


def test_info_says_what_a_model_costs() -> None:
    info = zoo.model_info("cbam_resnet50")["cost"]
    shown = invoke("info", "cbam_resnet50").stdout
    assert f"{info['parameters']:,}" in shown and f"{info['multiplications']:,}" in shown
    assert "--measure" in invoke("info", "eca_regnety_002").stdout


@pytest.mark.parametrize("name", ["se", "multi_head", "ram_mnist"])
def test_a_measured_cost_is_the_recorded_one(name: str, monkeypatch) -> None:
    recorded = json.loads(invoke("info", name, "--json").stdout)["cost"]
    monkeypatch.setattr("zoo.registry.catalogue.recorded_cost", lambda *_: None)
    assert json.loads(invoke("info", name, "--measure", "--json").stdout)["cost"] == recorded


def test_what_has_no_cost_of_one_map_says_so() -> None:
    assert "cost            none of one map" in invoke("info", "co_excitation", "--measure").stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("zoo info coord", ["plain,coordinate"]),
        ("zoo eval eca_regnety_002", ["plain,eca_regnety_002"]),
        ("zoo list --family by", ["plain,by_chance"]),
        ("zoo eval ram_mnist --data mnist_cl", [f"plain,{n}" for n in _begin("mnist_cl")]),
        ("zoo eval ram_mnist --data pictures", ["dir,pictures"]),
        ("zoo eval ram_mnist --record here", ["file,here"]),
    ],
)
def test_the_shell_completes_names_and_files(words: str, offered: list[str]) -> None:
    count = str(len(words.split()) - 1)
    environment = {"_ZOO_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": count}
    done = CliRunner().invoke(cli.cli, env=environment, prog_name="zoo")
    assert done.stdout.splitlines() == offered


def test_a_wrong_name_is_one_message_and_exit_code_2() -> None:
    code = "import sys; sys.argv[1:] = ['info', 'cbm']\n" + RUN.replace("not end.code", "True")
    done = fresh(code + "\n    print(end.code)")
    assert done.stdout.strip() == "2"
    assert "did you mean cbam" in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3, "one error, not one for each kind of name"


@pytest.mark.parametrize("arguments", [["no_such_command"], ["list", "--no-such-option"], ["info"]])
def test_a_wrong_call_exits_with_2(arguments: list[str]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
