"""What is published of a plugin says which package it is from, and a reader without it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision

import zoo
from zoo.errors import UnknownNameError
from zoo.publish import attention, package
from zoo.publish.source import open_source
from zoo.registry import packages
from zoo.weights import config
from zoo.weights.safetensors_file import inspect
from zoo.weights.verified_file import local_file

ZOO = "attention-zoo"
ABSENT = "zoo-of-another-laboratory"


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    """The zoo's own plugins are somebody's."""
    monkeypatch.setattr(packages, "DISTRIBUTION", "another")


def told(path: Path, key: str) -> dict[str, object]:
    with local_file(path) as file:
        return json.loads(inspect(file).metadata[key])


@pytest.mark.parametrize(
    ("name", "options"),
    [("se_resnet18", {}), ("resnet18", {"attention": "se"}), ("stn_mnist", {})],
)
def test_a_file_of_a_model_names_the_package(
    name: str, options: dict[str, Any], foreign: None, tmp_path: Path
) -> None:
    path = zoo.save_model(zoo.create_model(name, **options), tmp_path / "model.safetensors")
    assert told(path, "zoo")["packages"] == [ZOO]
    assert zoo.create_model(path) is not None


def test_a_file_of_the_zoo_s_own_names_none(tmp_path: Path) -> None:
    path = zoo.save_model(zoo.create_model("stn_mnist"), tmp_path / "model.safetensors")
    assert "packages" not in told(path, "zoo")


def test_what_is_published_names_the_package(foreign: None, tmp_path: Path) -> None:
    path = zoo.save_model(zoo.create_model("stn_mnist"), tmp_path / "model.safetensors")
    with open_source(str(path)) as source:
        files = package.build(source, "org/stn").files
    assert json.loads(bytes(files["config.json"]))["packages"] == [ZOO]  # pyright: ignore[reportArgumentType]
    assert ZOO in json.loads(bytes(files["zoo.json"]))["versions"]  # pyright: ignore[reportArgumentType]
    assert f"pip install {ZOO}\n" in bytes(files["README.md"]).decode()  # pyright: ignore[reportArgumentType]


@pytest.fixture
def added(foreign: None, tmp_path: Path) -> Path:
    host = torchvision.models.resnet18()
    zoo.add_attention(host, "se", at="layer4", example=torch.rand(1, 3, 64, 64))
    return zoo.save_attention(host, tmp_path / "attention.safetensors")


def test_added_attention_names_the_package(added: Path) -> None:
    assert told(added, "zoo_attention")["packages"] == [ZOO]
    with local_file(added) as file:
        card = attention.build(file, "org/se", base_model="org/net").files["README.md"]
    assert f"pip install {ZOO}\n" in bytes(card).decode()  # pyright: ignore[reportArgumentType]


def test_added_attention_of_an_absent_plugin(added: Path) -> None:
    content, own = added.read_bytes(), b'\\"se\\"'
    assert own in content and len(ZOO) == len("absent-plugin")  # the header stays as long as it is
    added.write_bytes(content.replace(own, b'\\"zz\\"').replace(ZOO.encode(), b"absent-plugin"))
    with pytest.raises(UnknownNameError, match="it is from absent-plugin, which is not installed"):
        zoo.load_attention(torchvision.models.resnet18(), added)


def stated(*names: object, architecture: str = "gate_resnet18") -> bytes:
    return json.dumps({"architecture": architecture, "packages": names}).encode()


def test_a_model_of_an_absent_plugin() -> None:
    with pytest.raises(UnknownNameError) as caught:
        config.parse(stated(ABSENT), "org/net")
    assert f"it is from {ABSENT}, which is not installed" in caught.value.what
    assert caught.value.remedy == f"pip install {ABSENT}, if you trust it"
    assert caught.value.where == "org/net"


def test_a_model_of_a_plugin_that_no_longer_has_it() -> None:
    with pytest.raises(UnknownNameError, match="installed and does not offer it") as caught:
        config.parse(stated(ZOO), "org/net")
    assert "zoo plugins" in caught.value.remedy


@pytest.mark.parametrize("name", [7, "", "a b", "-e .", "https://host/wheel.whl", "x" * 200])
def test_what_can_be_no_package_is_not_recommended(name: object) -> None:
    assert config.parse(stated(name), "org/net").architecture == "gate_resnet18"


def test_a_model_that_is_known_needs_no_package() -> None:
    assert config.parse(stated(ABSENT, architecture="se_resnet18"), "org/net").num_classes == 1000
