"""Published ImageNet weights, where there are any: in `ZOO_TEST_WEIGHTS`, or in shared/weights.

The file is timm's `tf_efficientnet_lite0`; without it these tests are skipped.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

import zoo

NAME = "tf_efficientnet_lite0"
PARENTS = Path(__file__).resolve().parents
FOLDERS = [Path(os.environ.get("ZOO_TEST_WEIGHTS", "")), *(p / "shared/weights" for p in PARENTS)]
FILE = next((f / f"{NAME}.safetensors" for f in FOLDERS if (f / f"{NAME}.safetensors").is_file()),
            None)  # fmt: skip
pytestmark = [pytest.mark.slow, pytest.mark.skipif(FILE is None, reason="no weights at hand")]


def images() -> torch.Tensor:
    return torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_a_file_gives_the_logits_that_timm_computes() -> None:
    theirs = timm.create_model(NAME, pretrained=True, pretrained_cfg_overlay={"file": str(FILE)})
    ours: Any = zoo.create_model(NAME, weights=FILE)
    assert torch.equal(ours.eval()(images()), theirs.eval()(images()))
    assert ours.num_classes == 1000 and ours.zoo.untrained == ()


@pytest.mark.parametrize("attention", ["eca", "cbam", "simam", "coordinate"])
@torch.no_grad()
def test_a_warm_start_keeps_the_logits_and_comes_back_from_its_file(
    attention: str, tmp_path: Path
) -> None:
    plain: Any = zoo.create_model(NAME, weights=FILE).eval()
    warm: Any = zoo.create_model(f"{attention}_{NAME}", pretrained=True, backbone_weights=FILE)
    expected = plain(images())
    assert (warm.eval()(images()) - expected).abs().max() <= 1e-4 * expected.abs().max()
    file = zoo.save_model(warm, tmp_path / "warm.safetensors")
    again: Any = zoo.create_model(f"{attention}_{NAME}", weights=file).eval()
    assert again.zoo.insertion == warm.zoo.insertion
    torch.testing.assert_close(again(images()), warm(images()))
