"""Every mechanism and model computes what its authors' code computed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from zoo.reference import verify
from zoo.reference.result import CaseResult

CASES = Path(__file__).with_name("cases")
FILES = sorted(CASES.glob("*.safetensors"))
ENTRIES = json.loads((CASES / "models.json").read_text())["models"]
QUICK = {
    "se_resnet50",
    "se_resnet50_timm",
    "se_resnet20_cifar",
    "cbam_resnet18",
    "cbam_resnet50",
    "bam_resnet50",
    "eca_resnet50",
    "axial_resnet26_s",
    "sasa_resnet26",
    "residual_attention_92_cifar",
    "stacked_hourglass_8",
    "ram_28",
}


def only(path: Path, device: str = "cpu") -> CaseResult:
    (result,) = verify([path], device=device)
    return result


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_mechanism(path: Path) -> None:
    result = only(path)
    assert result.status == "passed", result.reason


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(e, id=e["name"], marks=() if e["name"] in QUICK else pytest.mark.slow)
        for e in ENTRIES
    ],
)
def test_model(entry: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    path.write_text(json.dumps({"models": [entry]}))
    result = only(path)
    assert result.status == "passed", result.reason
    assert result.file == f"models.json::{entry['name']}"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_mechanism_on_cuda(path: Path) -> None:
    result = only(path, "cuda")
    assert result.status == "passed", result.reason
