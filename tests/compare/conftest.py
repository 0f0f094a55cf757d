"""Small images in folders, and a comparison that trains on them in seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_images import write_digits, write_images

from zoo.compare.design import Arm, Comparison
from zoo.recipes import finetune_recipe

NETWORK = {"depth": 8, "widths": [8, 16, 32], "img_size": 12}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def images(tmp_path_factory) -> Path:
    """train/ with 24 images and test/ with 30, of three classes."""
    folder = tmp_path_factory.mktemp("colours")
    write_images(folder / "train", 8, 0)
    write_images(folder / "test", 10, 1)
    return folder


@pytest.fixture
def comparison(images) -> Comparison:
    """Two attentions, two seeds, two epochs of three steps, with timm's augmentation."""
    recipe = finetune_recipe(
        "cifar_resnet", images, epochs=2, batch_size=6, size=12, keep="last", holdout_share=0.125,
        model_options=NETWORK, warmup_epochs=0.1, mixup=0.2,
    )  # fmt: skip
    arms = Arm(label="se", attention="se"), Arm(label="eca", attention="eca")
    return Comparison(recipe=recipe, arms=arms, seeds=2)


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """A folder with digits as `write_digits` writes them."""
    folder = tmp_path_factory.mktemp("mnist")
    write_digits(folder)
    return folder
