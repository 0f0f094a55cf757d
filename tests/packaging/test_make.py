"""`make` builds the environment when there is none or its sources changed, and else reuses it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from environment import ROOT

pytestmark = pytest.mark.long

FAKE_PYTHON = '#!/bin/sh\necho "$(basename "$0") $*" >> "$LOG"\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose tools only write down how they were called."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("python3", "python", "zoo", "ruff", "pyright"):
        (tools / name).write_text(FAKE_PYTHON)
        (tools / name).chmod(0o755)
    return tmp_path


def make(checkout: Path, target: str) -> list[str]:
    """What `make TARGET` calls; a made environment is a link to the tools."""
    log = checkout / "log"
    log.write_text("")
    tools = checkout / "tools"
    (tools / "python3").write_text(
        FAKE_PYTHON + f'test "$2" != venv || {{ mkdir -p .venv; ln -sfn {tools} .venv/bin; }}\n'
    )
    kept = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "PYTHON")}
    environment = {**kept, "LOG": str(log), "PATH": f"{tools}:{kept['PATH']}"}
    subprocess.run(["make", target], cwd=checkout, env=environment, check=True, capture_output=True)
    return log.read_text().splitlines()


def installs(calls: list[str]) -> list[str]:
    return [call for call in calls if " pip install " in call]


@pytest.mark.parametrize("target", ["demo", "test"])
def test_the_first_run_makes_the_environment_and_the_second_reuses_it(
    checkout: Path, target: str
) -> None:
    first, second = make(checkout, target), make(checkout, target)
    assert first[0] == "python3 -m venv .venv"
    assert len(installs(first)) == 1
    assert "--constraint constraints.txt" in installs(first)[0]
    assert second == first[2:]


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
def test_a_change_of_what_it_is_made_from_renews_it(checkout: Path, changed: str) -> None:
    make(checkout, "demo")
    ready = (checkout / ".venv" / ".ready").stat().st_mtime
    os.utime(checkout / changed, (ready + 5, ready + 5))
    calls = make(checkout, "test")
    assert len(installs(calls)) == 1
    assert "python3 -m venv .venv" not in calls


def test_demo_and_test_run_what_they_say(checkout: Path) -> None:
    assert make(checkout, "demo")[-1].startswith("zoo eval ram_mnist ")
    assert [call.split()[0] for call in make(checkout, "test")] == [
        "ruff", "ruff", "pyright", "python",
    ]  # fmt: skip


def test_an_interrupted_installation_is_done_again(checkout: Path) -> None:
    (checkout / "tools" / "python").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(subprocess.CalledProcessError):
        make(checkout, "demo")
    (checkout / "tools" / "python").write_text(FAKE_PYTHON)
    assert len(installs(make(checkout, "demo"))) == 1


def test_ci_runs_make_test(checkout: Path) -> None:
    shutil.copytree(ROOT / ".ci", checkout / ".ci")
    shutil.copy(checkout / "tools" / "ruff", checkout / "tools" / "make")
    path = f"{checkout / 'tools'}:{os.environ['PATH']}"
    environment = {"LOG": str(checkout / "log"), "PATH": path}
    subprocess.run([str(checkout / ".ci" / "run")], env=environment, check=True)
    assert (checkout / "log").read_text() == "make test\n"
