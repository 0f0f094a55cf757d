"""Added attention over the Hub: pushed with a card, pulled into the same model elsewhere."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import torch
import torchvision
import warm
from click.testing import CliRunner
from hub.client import Client
from hub.samples import NAME
from hub.server import Hub

import zoo
from zoo.cli import cli
from zoo.errors import UsageError

pytestmark = pytest.mark.long

X = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
BASE = "timm/resnet18.a1_in1k"
READER = """
import sys, torch, torchvision, zoo
torch.manual_seed(0)
model = torchvision.models.resnet18(num_classes=4).eval()
try:
    zoo.load_attention(model, sys.argv[1], strict=True)
except zoo.ZooError as error:
    sys.exit(f"{type(error).__name__}: {error}")
torch.save(model(torch.load(sys.argv[2])), sys.argv[3])
"""


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=4).eval()
    zoo.add_attention(model, "se", at=["layer3", "layer4"], example=X, reduction=8)
    with torch.no_grad():
        for parameter in zoo.attention_parameters(model):
            parameter.add_(torch.randn_like(parameter))
    torch.save(X, tmp_path / "x.pt")
    torch.save(model(X), tmp_path / "y.pt")
    return zoo.save_attention(model, tmp_path / "se.safetensors")


def load(client: Client, name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    files = [str(folder / "x.pt"), str(folder / "out.pt")]
    return warm.run(["-c", READER, name, *files], env=client.environment())


def test_pushed_with_a_card_and_pulled_by_another(
    hub: Hub, client: Client, saved: Path, tmp_path: Path
) -> None:
    more = ("--base-model", BASE, "--license", "mit", "--json")
    done = client.cli("push", str(saved), NAME, *more, env={"HF_TOKEN": "hf_good"})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["files"] == ["README.md", "attention.safetensors"]
    held = hub.store.repositories[NAME].resolve("main").files
    assert held["attention.safetensors"] == saved.read_bytes()
    card = held["README.md"].decode()
    data = (f"base_model: {BASE}", "base_model_relation: adapter", "library_name: attention-zoo")
    for line in (*data, "license: mit", f'load_attention(model, "hf-hub:{NAME}")'):
        assert line in card
    assert "`layer4.se` | `se`" in card and '"reduction": 8' in card
    read = load(client, f"hf-hub:{NAME}", tmp_path)
    assert read.returncode == 0, read.stderr
    assert torch.equal(torch.load(tmp_path / "out.pt"), torch.load(tmp_path / "y.pt"))
    hub.close()
    read = load(client, f"hf-hub:{NAME}", tmp_path)
    assert read.returncode == 0, "the verified copy of the cache serves"


@pytest.mark.slow
def test_a_repository_without_attention_is_named(hub: Hub, client: Client, tmp_path: Path) -> None:
    hub.store.put(NAME, {"README.md": b"nothing"})
    torch.save(X, tmp_path / "x.pt")
    read = load(client, f"hf-hub:{NAME}", tmp_path)
    assert read.returncode == 1 and "attention.safetensors" in read.stderr
    assert "Traceback" not in read.stderr


def test_a_base_model_is_asked_for(saved: Path) -> None:
    result = CliRunner().invoke(cli, ["push", str(saved), NAME, "--dry-run"])
    assert isinstance(result.exception, UsageError)
    assert "--base-model" in str(result.exception)


@pytest.mark.parametrize(
    "option",
    ["--weights=x", "--backbone-weights=x", "--num-classes=3", "--recipe=x", "--record=x",
     "--picture=x"],
)  # fmt: skip
def test_options_of_models_are_refused(option: str, saved: Path) -> None:
    call = ["push", str(saved), NAME, "--base-model", BASE, "--dry-run", option]
    with pytest.raises(UsageError, match="says nothing of a file of attention"):
        CliRunner().invoke(cli, call, catch_exceptions=False)
