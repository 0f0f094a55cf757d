"""The plugin template, made by what CONTRIBUTING.md says and by what copier does, is a plugin."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import jinja2
import pytest
import yaml
from environment import ROOT, Environment

from zoo.testing import CHECKS

pytestmark = pytest.mark.long

TEMPLATE = ROOT / "plugins" / "template"


def by_hand(folder: Path) -> Path:
    """Run the commands of the tutorial that copies without copier."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    (commands,) = re.findall(r"```sh\n(cp -r plugins/template .*?)```", text, re.DOTALL)
    target = folder / "zoo-gate"
    script = commands.replace("../zoo-gate", str(target))
    subprocess.run(["bash", "-ec", script], cwd=ROOT, check=True)
    return target


def by_copier(folder: Path) -> Path:
    """What `copier copy --defaults` does with this template: every file and path is rendered."""
    questions = yaml.safe_load((TEMPLATE / "copier.yml").read_text())
    environment = jinja2.Environment(keep_trailing_newline=True)
    answers: dict[str, str] = {}
    for name, question in questions.items():
        if not name.startswith("_"):
            answers[name] = environment.from_string(question["default"]).render(answers)
    for source in TEMPLATE.rglob("*"):
        path = str(source.relative_to(TEMPLATE))
        if source.is_file() and not any(part in questions["_exclude"] for part in source.parts):
            file = folder / "zoo-gate" / environment.from_string(path).render(answers)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(environment.from_string(source.read_text()).render(answers))
    return folder / "zoo-gate"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return by_hand(tmp_path_factory.mktemp("by_hand"))


@pytest.fixture(scope="module")
def with_plugin(
    installed: Environment, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("with_plugin") / "environment", installed)
    environment.install("--editable", project)
    return environment


def test_by_hand_and_by_copier_are_the_same(project: Path, tmp_path: Path) -> None:
    def contents(folder: Path) -> dict[str, str]:
        files = (file for file in folder.rglob("*") if file.is_file())
        return {str(file.relative_to(folder)): file.read_text() for file in files}

    rendered = contents(by_copier(tmp_path))
    assert contents(project) == rendered
    assert len(rendered) == 6
    assert not any("{{" in path + text for path, text in rendered.items())


def test_it_is_listed(with_plugin: Environment) -> None:
    assert "gate" in with_plugin.zoo("list", "--attentions").stdout.split()
    assert "gate_resnet18_cifar10" in with_plugin.zoo("list", "--recipes").stdout.split()
    done = with_plugin.zoo("plugins", ZOO_STRICT_PLUGINS="1")
    assert re.search(r"^gate +zoo-gate 0\.1\.0 +ok$", done.stdout, re.MULTILINE)


def test_its_own_tests_pass(with_plugin: Environment, project: Path) -> None:
    """The conformance kit on its attention, its plugin, its recipe, and a model with it; it takes
    no mask.
    """
    done = with_plugin("-m", "pytest", "-q", "-p", "no:cacheprovider", str(project))
    assert done.returncode == 0, done.stdout + done.stderr
    passed = len(CHECKS) - 1 + 3  # all checks but that of masks, plugin, recipe, a model with it
    assert re.search(rf"^{passed} passed, 1 skipped", done.stdout, re.MULTILINE), done.stdout
