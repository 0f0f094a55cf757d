"""Reference cases and compositions on a CUDA device."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import zoo

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
CASES = Path(__file__).resolve().parents[1] / "reference"


def test_reference_cases_pass() -> None:
    command = [sys.executable, "-m", "zoo", "verify", str(CASES), "--device", "cuda", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = json.loads(done.stdout)["cases"]
    assert rows and [row for row in rows if row["status"] == "failed"] == []


@pytest.mark.parametrize("name", ["se_resnet18", "cbam_resnet18", "non_local_resnet18"])
@pytest.mark.parametrize("form", ["exact", "residual"])
def test_trains_under_autocast(name: str, form: str) -> None:
    model = zoo.create_model(name, num_classes=4, insertion=form).cuda()
    model = model.to(memory_format=torch.channels_last)
    x = torch.randn(4, 3, 64, 64, device="cuda").to(memory_format=torch.channels_last)
    with torch.autocast("cuda", torch.bfloat16):
        loss = model(x).float().logsumexp(1).mean()
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_compiled_gives_the_same_logits() -> None:
    model = zoo.create_model("cbam_resnet18").eval().cuda()
    x = torch.randn(2, 3, 64, 64, device="cuda")
    with torch.inference_mode():
        torch.testing.assert_close(torch.compile(model)(x), model(x), rtol=1e-3, atol=1e-3)
