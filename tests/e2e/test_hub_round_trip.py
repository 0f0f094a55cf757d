"""Train, measure, push; then, from an empty cache, pull and measure: the same metrics.

Two processes meet only through the Hub: the publisher and the reader. Once with an attention of
the zoo, once with one of an installed third-party plugin, which brings the data too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import warm  # noqa: E402
from hub.client import Client  # noqa: E402
from hub.server import Hub  # noqa: E402
from hub.store import sha256  # noqa: E402

pytestmark = pytest.mark.long

RECIPE = """
model = "{model}"
epochs = 2
batch_size = 32
seed = 1
validate_every = 1

[data]
name = "toy_digits"
holdout = 40

[optimizer]
lr = 3e-3

[model_options]
num_classes = 10
in_chans = 1
"""
PUBLISHER = """
import json, sys
from pathlib import Path
from click.testing import CliRunner
import zoo
from zoo.cli import cli
from zoo_x_shout.data import Digits
from zoo.evaluation.record import write_record
from zoo.evaluation.runner import evaluate
from zoo.recipes import read_recipe
from zoo.training.run import train
recipe, out = map(Path, sys.argv[1:3])
settings = read_recipe(recipe)
train(settings, out)
model = zoo.create_model(settings.model, weights=out / "model.safetensors",
                         **settings.model_options)
outcome = evaluate(model, Digits(None, "test"), workers=0)
write_record(out / "record.json", outcome.record(settings.model, model.zoo.weights))
arguments = ["push", str(out), "org/tiny", "--recipe", str(recipe), "--json",
             "--record", str(out / "record.json"), "--license", "apache-2.0"]
result = CliRunner().invoke(cli, arguments)
if result.exception and not isinstance(result.exception, SystemExit):
    raise result.exception
print(json.dumps({"pushed": json.loads(result.stdout), "top1": outcome.top1}))
"""
READER = """
import json, sys
from pathlib import Path
import timm, torch
import zoo, zoo.timm_bridge
from zoo_x_shout.data import Digits
from zoo.evaluation.runner import evaluate
model = zoo.create_model("hf-hub:org/tiny", pretrained=True).eval()
outcome = evaluate(model, Digits(None, "test"), workers=0)
zoo.timm_bridge.register(sys.argv[1])
theirs = timm.create_model("hf-hub:org/tiny", pretrained=True).eval()
images = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    same = torch.equal(model(images), theirs(images))
print(json.dumps({"top1": outcome.top1, "weights": model.zoo.weights, "same_in_timm": same}))
"""
PLUGIN = """
import zoo

@zoo.hookimpl
def zoo_attentions():
    return [zoo.AttentionSpec(name="shout", target="zoo_x_shout.gate:Shout")]

@zoo.hookimpl
def zoo_datasets():
    return [zoo.DatasetSpec(name="toy_digits", target="zoo_x_shout.data:Digits", num_classes=10)]
"""
DATA = """
import numpy as np

class Digits:
    name = "toy_digits"

    def __init__(self, root, split):
        self.split = split
        generator = np.random.default_rng(0)
        kinds = generator.integers(0, 256, (10, 28, 28))
        generator = np.random.default_rng(1 + (split == "test"))
        self.labels = generator.integers(0, 10, 100 if split == "test" else 240)
        noise = generator.integers(-80, 80, (len(self.labels), 28, 28))
        self.images = np.clip(kinds[self.labels] + noise, 0, 255).astype(np.uint8)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.images[i], int(self.labels[i])
"""
GATE = """
import torch

class Shout(torch.nn.Module):
    def __init__(self, channels, *, loudness=1.0, device=None, dtype=None):
        super().__init__()
        self.loudness = loudness
        self.bias = torch.nn.Parameter(torch.zeros(channels, 1, 1, device=device, dtype=dtype))

    def forward(self, x):
        return x * torch.sigmoid(self.loudness * self.bias)
"""


def install_plugin(folder: Path) -> Path:
    """A distribution as pip would leave it: the package, its metadata and its entry point."""
    package, metadata = folder / "zoo_x_shout", folder / "zoo_x_shout-1.0.dist-info"
    for path, text in (
        (package / "__init__.py", PLUGIN),
        (package / "gate.py", GATE),
        (package / "data.py", DATA),
        (metadata / "METADATA", "Metadata-Version: 2.1\nName: zoo-x-shout\nVersion: 1.0\n"),
        (metadata / "entry_points.txt", "[zoo.plugins]\nshout = zoo_x_shout\n"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def run(client: Client, code: str, *arguments: object) -> dict:
    done = warm.run(["-c", code, *arguments], env=client.environment(), check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "model", ["shout_test_resnet", pytest.param("se_test_resnet", marks=pytest.mark.slow)]
)
def test_round_trip(tmp_path: Path, model: str) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(model=model))
    plugin = install_plugin(tmp_path / "site")
    with Hub() as hub:
        publisher = Client(hub.endpoint, tmp_path / "publisher", {"HF_TOKEN": "hf_good"})
        reader = Client(hub.endpoint, tmp_path / "reader")
        for client in (publisher, reader):
            client.env["PYTHONPATH"] = f"{client.environment()['PYTHONPATH']}:{plugin}"
        sent = run(publisher, PUBLISHER, recipe, tmp_path / "run")
        received = run(reader, READER, model)
        files = hub.store.repositories["org/tiny"].resolve("main").files
    assert received["top1"] == sent["top1"]
    assert received["weights"]["sha256"] == sent["pushed"]["sha256"]
    assert received["weights"]["revision"] == sent["pushed"]["revision"]
    assert received["same_in_timm"]
    assert sent["pushed"]["sha256"] == sha256(files["model.safetensors"])
    card = files["README.md"].decode()
    assert f"value: {sent['top1']}" in card and model in card and "picture.png" in files
    assert json.loads(files["config.json"])["architecture"] == model
