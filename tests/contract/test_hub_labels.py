"""A published model's own label names decide what the folders of a data set are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from hub.client import Client
from hub.server import Hub
from PIL import Image
from safetensors.torch import save

from zoo.data.classes import match_names
from zoo.data.vocabulary import ModelClasses
from zoo.errors import ConfigError
from zoo.weights.config import parse

pytestmark = pytest.mark.long

NAMES = ["zebra", "ant", "Mole", "tiger cat"]


def published(hub: Hub, stated: dict[str, Any]) -> torch.nn.Module:
    """A network of four classes whose weights and settings are on the Hub."""
    torch.manual_seed(0)
    model = timm.create_model("test_efficientnet", num_classes=len(NAMES)).eval()
    with torch.no_grad():
        model.get_classifier().weight.mul_(100)
    config = {"architecture": "test_efficientnet", "num_classes": len(NAMES), **stated}
    files = {"config.json": json.dumps(config).encode(), "model.safetensors": save(
        {key: tensor.contiguous() for key, tensor in model.state_dict().items()})}  # fmt: skip
    hub.store.put("org/labels", files)
    return model


def photographs(model: torch.nn.Module, root: Path) -> Path:
    """Noise in folders that have the names of the classes that the model sees in it."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 160, 160, 3), dtype=np.uint8)
    data = timm.data.resolve_model_data_config(model)
    transform = timm.data.create_transform(**{**data, "input_size": (3, 160, 160)})
    for number, pixels in enumerate(noise):
        image = Image.fromarray(pixels // (1 + number % 6) + 20 * (number % 6))
        with torch.inference_mode():
            seen = int(model(transform(image)[None]).argmax())
        folder = root / NAMES[seen].replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        image.save(folder / f"{number}.png")
    assert len(list(root.iterdir())) > 1
    return root


TABLE = {str(index): name for index, name in enumerate(NAMES)}


def test_folders_are_the_models_classes(hub: Hub, client: Client, tmp_path: Path) -> None:
    root = photographs(published(hub, {"label_names": TABLE}), tmp_path / "data")
    done = client.cli("eval", "hf-hub:org/labels", "--data", str(root), "--workers", "0", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["metrics"]["top1"] == 100
    assert record["data"]["classes"]["matched_by"] == "the model's own label names"


@pytest.mark.parametrize(
    "stated",
    [
        {"label_names": NAMES},
        {"label_names": TABLE},
        {"labels": NAMES},
        {"pretrained_cfg": {"label_names": NAMES}},
        {"pretrained_cfg": {"labels": NAMES}},
        {
            "label_names": [f"c{i}" for i in range(4)],
            "label_descriptions": {f"c{i}": name for i, name in enumerate(NAMES)},
        },
    ],
    ids=["list", "table", "old key", "nested", "nested old key", "descriptions"],
)
def test_every_form_of_names_that_timm_writes(stated: dict[str, Any]) -> None:
    config = {"architecture": "resnet18", "num_classes": 4, **stated}
    classes = ModelClasses.of(4, parse(json.dumps(config).encode(), "x").labels)
    assert dict(match_names(["ant", "zebra"], classes).indices) == {"ant": 1, "zebra": 0}


@pytest.mark.parametrize(
    "names", [{"x": "ant"}, {"1": 5}, {"label_names": "ant"}, {"-1": "a"}, [1, 2]], ids=str
)
def test_hostile_names_are_refused(names: Any) -> None:
    config = {"architecture": "resnet18", "label_names": names}
    with pytest.raises(ConfigError, match="label_names"):
        parse(json.dumps(config).encode(), "x")
