"""What the documents and the project's files say is so."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from test_architecture import MAY_IMPORT

import zoo
from zoo.cli import COMMANDS
from zoo.registry import default_registry

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
FILES = [ROOT / name for name in PAGES] + sorted((ROOT / "docs").glob("*.md"))
TEXTS = {file.relative_to(ROOT).as_posix(): file.read_text("utf-8") for file in FILES}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """The script `docs/generate.py`, as `python` would run it."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        return __import__("generate")
    finally:
        sys.path.remove(str(ROOT / "docs"))


def test_tables_are_what_registry_and_manifests_say(generate: ModuleType) -> None:
    found = generate.documents(default_registry())
    assert {"README.md", "docs/mechanisms.md", "docs/results.md"} <= found.keys()
    stale = [name for name, (written, now) in found.items() if written != now]
    assert stale == [], "run python docs/generate.py"


def test_every_mechanism_and_named_model_has_a_row() -> None:
    registry = default_registry()
    rows = re.findall(r"^\| `(\w+)`", TEXTS["docs/mechanisms.md"], re.MULTILINE)
    assert registry.attentions.keys() | registry.models.keys() <= set(rows)


def test_a_changed_figure_is_seen_as_stale(
    generate: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--check` fails on a document whose table says something else."""
    changed = TEXTS["README.md"].replace(f"{len(default_registry().attentions)} attention", "9 at")
    read = generate._read
    monkeypatch.setattr(generate, "_read", lambda n: changed if n == "README.md" else read(n))
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    with pytest.raises(SystemExit):
        generate.main()


def test_readme_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) < 150


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/evaluation.md"])
def test_commands_that_are_mentioned_exist(name: str) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", TEXTS[name], re.DOTALL)
    mentioned = set(re.findall(r"^(?:.*&& )?zoo (\w+)", "".join(blocks), re.MULTILINE))
    assert mentioned and mentioned <= set(COMMANDS)
    rules = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make (\w+)", "".join(blocks), re.MULTILINE)) <= rules


@pytest.mark.parametrize("name", TEXTS)
def test_files_that_are_mentioned_exist(name: str) -> None:
    """Paths in backquotes from the root of the project, and links from the document's folder."""
    text = TEXTS[name]
    folders = "zoo|plugins|weights|tests|benchmarks|docs"
    paths = re.findall(rf"`((?:{folders})/[\w./-]+)`", text)
    lost = [path for path in paths if not (ROOT / path).exists()]
    links = re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", text)
    lost += [link for link in links if not ((ROOT / name).parent / link).exists()]
    assert lost == []


@pytest.mark.parametrize("name", TEXTS)
def test_headings_that_are_linked_exist(name: str) -> None:
    for link, heading in re.findall(r"\]\(([^)#:]*)#([\w-]+)\)", TEXTS[name]):
        target = ((ROOT / name).parent / link).resolve() if link else ROOT / name
        lines = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in lines}
        assert heading in anchors, (link, heading)


def test_the_architecture_states_what_each_package_may_import() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \|.*\| ([^|]*) \|$", TEXTS["docs/architecture.md"], re.MULTILINE
    )
    stated = {name: set(re.findall(r"\w+", imported)) for name, imported in rows}
    assert stated == MAY_IMPORT


def test_constraints_pin_every_dependency() -> None:
    names = {re.split(r"[<>=\[ ]", line)[0] for line in _wanted()}
    pins = _pins("constraints.txt")
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", f"{n}=={v}") for n, v in pins.items())
    assert names <= pins.keys()


def test_the_least_versions_are_those_of_the_project() -> None:
    least = dict(line.split(">=") for line in _wanted() if ">=" in line)
    for name, version in _pins(".ci/minimum.txt").items():
        assert re.fullmatch(rf"{re.escape(least[name])}(\.0)*", version), name


def test_the_workflow_runs_the_same_check_on_constraints_that_there_are() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())["jobs"]
    assert jobs["test"]["steps"][-1] == {"run": ".ci/run"}
    matrix = jobs["test"]["strategy"]["matrix"]
    assert all((ROOT / file).is_file() for file in matrix["constraints"])
    least = PROJECT["requires-python"].removeprefix(">=")
    assert matrix["python"][0] == least


def test_pre_commit_runs_the_pinned_ruff() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    ruff = {wanted for hook in local["hooks"] for wanted in hook["additional_dependencies"]}
    assert ruff == {f"ruff=={_pins('constraints.txt')['ruff']}"}


def test_the_version_is_stated_alike_everywhere() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"]
    assert str(cited) == zoo.__version__
    assert f"\n## {zoo.__version__}\n" in TEXTS["CHANGELOG.md"]
    (api,) = re.findall(r"`zoo.PLUGIN_API` .* It is (\d+) in", TEXTS["docs/architecture.md"])
    assert int(api) == zoo.PLUGIN_API


def _wanted() -> list[str]:
    return [*PROJECT["dependencies"], *sum(PROJECT["optional-dependencies"].values(), [])]


def _pins(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text("utf-8").splitlines()
    pairs = (line.split("==") for line in lines if not line.startswith("#"))
    return {name: version for name, version in pairs}
