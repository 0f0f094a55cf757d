"""Third-party plugins as distributions: each a package `zoo_x_<name>` with an entry point."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "zoo-x-{name}"
version = "1.2"
[project.entry-points."zoo.plugins"]
{name} = "{entry}"
[tool.hatch.build.targets.wheel]
packages = ["zoo_x_{name}"]
"""
BUILD = """
import os, sys
from hatchling.build import build_wheel
out, *folders = sys.argv[1:]
for folder in folders:
    os.chdir(folder)
    build_wheel(out)
"""
GATE = """
import torch
class Gate(torch.nn.Module):
    def __init__(self, channels, *, device=None, dtype=None):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(channels, 1, 1, device=device, dtype=dtype))
    def forward(self, x):
        return x * torch.sigmoid(self.bias)
"""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A plugin's code, and what its row of `zoo plugins` says."""

    code: str
    reason: str
    status: str = "degraded"
    entry: str = ""
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    needs: str = ""


def attentions(*specs: str) -> str:
    """A plugin that offers these specs, each written as the arguments of `AttentionSpec`."""
    items = "".join(f"zoo.AttentionSpec({spec})," for spec in specs)
    return f"import zoo\n@zoo.hookimpl\ndef zoo_attentions():\n    return [{items}]\n"


def hook(name: str, body: str, arguments: str = "") -> str:
    return f"import zoo\n@zoo.hookimpl\ndef {name}({arguments}):\n    {body}\n"


BROKEN = {
    "imports": Broken(
        code="import nothing_of_that_name",
        status="failed",
        reason="ModuleNotFoundError: No module named 'nothing_of_that_name'",
    ),
    "syntax": Broken(code="def", status="failed", reason="SyntaxError"),
    "exits": Broken(code="import sys; sys.exit(3)", status="failed", reason="SystemExit: 3"),
    "absent": Broken(code="", entry="zoo_x_no.such", status="failed", reason="No module named"),
    "none": Broken(
        code="plugin = None", entry="zoo_x_none:plugin", status="failed", reason="names None"
    ),
    "number": Broken(code="plugin = 42", entry="zoo_x_number:plugin", reason="offers no hook"),
    "silent": Broken(code="import zoo", reason="offers no hook"),
    "unmarked": Broken(
        code="def zoo_models(): return []", reason="zoo_models is not marked with @zoo.hookimpl"
    ),
    "misspells": Broken(
        code=hook("zoo_atentions", "return []"),
        reason="unknown hook zoo_atentions; did you mean zoo_attentions?",
    ),
    "argument": Broken(
        code=hook("zoo_attentions", "return []", "registry"),
        status="failed",
        reason="PluginValidationError",
    ),
    "raises": Broken(
        code=hook("zoo_attentions", "raise RuntimeError('on purpose')"),
        reason="zoo_attentions failed: RuntimeError: on purpose",
    ),
    "quits": Broken(
        code=hook("zoo_models", "raise SystemExit(1)"), reason="zoo_models failed: SystemExit: 1"
    ),
    "junk": Broken(
        code=hook("zoo_attentions", "return [42, 'se']"),
        reason="zoo_attentions returned 42 and 1 more, which is no AttentionSpec",
    ),
    "no_recipe": Broken(
        code=hook(
            "zoo_recipes", "return [zoo.RecipeSpec(name='lost', path='zoo_x_no_recipe:lost.toml')]"
        ),
        reason="'lost' is left out: there is no file lost.toml in zoo_x_no_recipe",
    ),
    "no_folder": Broken(
        code=hook("zoo_recipes", "return zoo.RecipeSpec.in_folder(__name__)"),
        reason="zoo_recipes failed: FileNotFoundError",
    ),
    "not_a_list": Broken(
        code=hook("zoo_datasets", "return 7"), reason="zoo_datasets failed: TypeError"
    ),
    "badly_named": Broken(
        code=attentions("name='Not a name', target='zoo_x_badly_named:Gate'"),
        reason="'Not a name' is not a lower-case identifier",
    ),
    "no_module": Broken(
        code=attentions("name='lost', target='zoo_x_no_module.absent:Gate'"),
        reason="'lost' is left out: there is no module zoo_x_no_module.absent",
    ),
    "no_attribute": Broken(
        code=attentions("name='hollow', target='zoo_x_no_attribute.gate:Absent'"),
        files={"gate.py": GATE},
        reason="'hollow' is left out: module zoo_x_no_attribute.gate has no Absent",
    ),
    "takes_se": Broken(
        code=attentions("name='se', target='zoo_x_takes_se.gate:Gate'"),
        files={"gate.py": GATE},
        reason="'se' is already claimed by plugin zoo-channel",
    ),
    "takes_alias": Broken(
        code=attentions("name='mine', aliases=('gc',), target='zoo_x_takes_alias.gate:Gate'"),
        files={"gate.py": GATE},
        reason="'gc' is already claimed by plugin zoo-channel",
    ),
    "second": Broken(
        code=attentions("name='contested', target='zoo_x_second.gate:Gate'"),
        files={"gate.py": GATE},
        reason="'contested' is already claimed by plugin first",
        needs="first",
    ),
    "takes_timm": Broken(
        code=hook("zoo_models", "return [zoo.ModelSpec(name='resnet50', target='os:fspath')]"),
        reason="'resnet50' is the name of a timm model",
    ),
    "takes_backbone": Broken(
        code=hook("zoo_backbones", "return [zoo.BackboneSpec(name='vgg16', target='os:fspath')]"),
        reason="'vgg16' is the name of a timm model",
    ),
    "takes_composition": Broken(
        code=hook("zoo_models", "return [zoo.ModelSpec(name='gc_vgg16', target='os:fspath')]"),
        reason="'gc_vgg16' already means global_context (plugin zoo-channel) in vgg16",
    ),
    "command_raises": Broken(
        code=hook("zoo_commands", "cli.no_such_method()", "cli"),
        reason="zoo_commands failed: AttributeError",
    ),
    "command_taken": Broken(
        code="import click\n"
        + hook("zoo_commands", "cli.add_command(click.Command('list'))", "cli"),
        reason="the command 'list' is taken",
    ),
    "hostile": Broken(
        code="import zoo\ndef __getattr__(name): raise RuntimeError(name)",
        reason="offers no hook",
    ),
}
GOOD = {
    "first": attentions("name='contested', target='zoo_x_first.gate:Gate'"),
    "chatty": "print('hello from import')\n" + hook("zoo_models", "print('and again'); return []"),
    "minimal": attentions("name='minimal', target='zoo_x_minimal.gate:Gate'"),
    "command": hook(
        "zoo_commands",
        "import click; cli.add_command(click.Command('hello', short_help='Hi.'))",
        "cli",
    ),
}


def write(folder: Path) -> list[Path]:
    """The source of every plugin, broken and good, each in a folder of its own."""
    for name, broken in BROKEN.items():
        files = {"__init__.py": broken.code, **broken.files}
        _write_one(folder / name, name, broken.entry or f"zoo_x_{name}", files)
    for name, code in GOOD.items():
        _write_one(folder / name, name, f"zoo_x_{name}", {"__init__.py": code, "gate.py": GATE})
    return sorted(folder.iterdir())


def _write_one(folder: Path, name: str, entry: str, files: Mapping[str, str]) -> None:
    package = folder / f"zoo_x_{name}"
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT.format(name=name, entry=entry))
    for file, text in files.items():
        (package / file).write_text(text)


def build(sources: list[Path], out: Path) -> list[Path]:
    """A wheel of each, by its own build backend."""
    out.mkdir()
    subprocess.run([sys.executable, "-c", BUILD, str(out), *map(str, sources)], check=True)
    return sorted(out.glob("*.whl"))
