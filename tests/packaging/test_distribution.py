"""A wheel made from the sdist, a plain install and an editable one all hold the whole zoo."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from environment import ROOT, Environment

pytestmark = pytest.mark.long

PACKAGES = {
    "zoo": "zoo",
    "zoo_plugins": "plugins/zoo_plugins",
    "zoo_weights": "weights/zoo_weights",
}
WHERE = """
import json, zoo, zoo_plugins.mechanisms.channel, zoo_weights
print(json.dumps([zoo.__file__, zoo_plugins.mechanisms.channel.__file__, zoo_weights.__file__]))
"""


def source_files() -> list[str]:
    """Every file of the checkout's packages, by its path inside the wheel."""
    return [
        f"{package}/{file.relative_to(ROOT / folder)}"
        for package, folder in PACKAGES.items()
        for file in sorted((ROOT / folder).rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    ]


def test_the_wheel_from_the_sdist_holds_every_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    assert [file for file in source_files() if file not in held] == []
    assert {name.split("/")[0] for name in held if ".dist-info" not in name} == set(PACKAGES)


def test_the_sdist_holds_every_file_of_the_checkout(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no checkout of git")
    tracked = [name for name in listed.stdout.split("\0") if (ROOT / name).is_file()]
    assert [name for name in tracked if name not in held] == []


def test_the_wheel_holds_the_data_that_the_demo_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = archive.namelist()
        assert any(name.startswith("zoo/registry/timm_names/") for name in held)
        assert any("mnist" in name and not name.endswith(".py") for name in held)
        names = [n for n in held if n.startswith("zoo_weights/") and n.endswith(".toml")]
        manifests = [n for n in names if "/recipes/" not in n]
        assert len(manifests) < len(names)
        stated = [tomllib.loads(archive.read(name).decode()) for name in manifests]
        bundled = [data for data in stated if data["kind"] == "bundled"]
        assert bundled
        for data in bundled:
            file = data["path"].replace(":", "/", 1)
            assert hashlib.sha256(archive.read(file)).hexdigest() == data["sha256"]


@pytest.fixture(scope="session", params=["wheel", "source", "editable"])
def zoo_installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Environment]:
    """The zoo from its wheel, by `pip install .`, and by `pip install -e .`."""
    if request.param == "wheel":
        return "wheel", request.getfixturevalue("installed")
    environment = Environment(tmp_path_factory.mktemp(request.param))
    environment.install(*(["--editable"] if request.param == "editable" else []), ROOT)
    return request.param, environment


def test_all_packages_come_from_the_installation(zoo_installed: tuple[str, Environment]) -> None:
    way, environment = zoo_installed
    done = environment("-c", WHERE)
    assert done.returncode == 0, done.stderr
    home = ROOT if way == "editable" else environment.site
    assert all(Path(file).is_relative_to(home) for file in json.loads(done.stdout))


def test_every_plugin_loads_and_the_names_are_those_of_the_checkout(
    zoo_installed: tuple[str, Environment],
) -> None:
    import zoo

    _, environment = zoo_installed
    rows = json.loads(environment.zoo("plugins", "--json", ZOO_PLUGINS="").stdout)
    assert rows and {row["status"] for row in rows} == {"ok"}
    listed = environment.zoo("list", "--attentions", "--json", ZOO_PLUGINS="")
    assert json.loads(listed.stdout) == zoo.list_attentions()
    assert listed.stderr == ""


def test_recipes_are_read_from_the_installation(
    zoo_installed: tuple[str, Environment], tmp_path: Path
) -> None:
    """No file of the checkout is needed to train what the zoo's weights were trained by."""
    import zoo

    _, environment = zoo_installed
    listed = environment.zoo("list", "--recipes", "--json", ZOO_PLUGINS="")
    assert json.loads(listed.stdout) == zoo.list_recipes() != []
    copy = tmp_path / "copy.toml"
    done = environment.zoo("train", "ram_mnist", "--save-recipe", str(copy))
    assert done.returncode == 0, done.stderr
    source = ROOT / "weights" / "zoo_weights" / "recipes" / "ram_mnist.toml"
    assert copy.read_bytes() == source.read_bytes()


def test_the_module_is_a_program_too(installed: Environment) -> None:
    assert installed("-m", "zoo", "--version").stdout == installed.zoo("--version").stdout


def test_the_bundled_model_is_measured_offline(installed: Environment) -> None:
    done = installed.zoo("eval", "ram_mnist", "--limit", "200", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["data"]["count"] == 200
    assert record["metrics"]["top1"] > 90
