"""Fused gates: what the kernels compute, by Triton's interpreter, and where they are not used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import timm.layers as layers
import torch
from timm.layers.coord_attn import CoordAttn

import zoo
from zoo.sdk import fused

pytestmark = pytest.mark.long

pytest.importorskip("triton")
CASES = Path(__file__).parents[1] / "reference" / "cases"
MECHANISMS = (
    "se", "eca", "cbam", "cbam_channel", "cbam_spatial", "simam", "coordinate", "global_context",
)  # fmt: skip
QUICK = (
    "se.c32_r4", "eca.c32_k5", "cbam_channel.c64_r16", "cbam_spatial.c16_rect", "simam.lam1e-4",
    "coordinate.timm_c32", "global_context.authors_both_c16",
)  # fmt: skip
ALL = tuple(path.stem for name in MECHANISMS for path in sorted(CASES.glob(f"{name}.*")))
KERNELS = {
    f"{name}{way}"
    for name in ("mean_max", "gate", "weighted", "deviation", "axes")
    for way in ("", "_backward")
} | {"mean"}
TOLERANCES = {"float32": 1e-6, "float16": 2e-3, "bfloat16": 1.6e-2}  # of the largest number


def interpreted(cases: tuple[str, ...]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("fused_kernels.py")),
         *(str(CASES / f"{case}.safetensors") for case in cases)],
        env={**os.environ, "ZOO_FUSED": "1", "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_kernels_compute_the_plain_expressions_and_the_reference_cases() -> None:
    found = interpreted(QUICK)
    far = {
        what: by
        for what, by in found["differences"].items()
        if not by <= TOLERANCES[what.split(", ")[2]]
    }
    assert far == {}
    assert set(found["kernels"]) == KERNELS
    assert found["failed"] == {}


@pytest.mark.slow
def test_kernels_pass_every_reference_case() -> None:
    assert interpreted(ALL)["failed"] == {}


PLAIN = {
    "se": lambda: layers.SEModule(32),
    "eca": lambda: layers.EcaModule(32),
    "coordinate": lambda: CoordAttn(32, bias=True),
    "global_context": lambda: layers.GlobalContext(32, fuse_add=True),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "se": {"reduced_channels": 8},
    "coordinate": {"reduced_channels": 8},
    "global_context": {"fusion": ("channel_add", "channel_mul"), "norm_eps": 1e-6, "reduction": 8},
}


@pytest.mark.parametrize("name", PLAIN)
def test_without_the_switch_they_are_timms_layers_to_the_last_bit(name: str) -> None:
    torch.manual_seed(0)
    theirs = PLAIN[name]().eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    ours = zoo.create_attention(name, 32, **OPTIONS.get(name, {})).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 32, 6, 7)
    assert torch.equal(ours(x), theirs(x))


def test_kernels_are_off_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(1, 4, 3, 3)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.delenv("ZOO_FUSED", raising=False)
    assert not fused.in_use(x)
    monkeypatch.setenv("ZOO_FUSED", "1")
    assert fused.in_use(x)
    assert not fused.in_use(x.double()) and not fused.in_use(x[0]) and not fused.in_use(x[:0])
    assert not fused.in_use(x[..., :2])  # its lines lie apart
    monkeypatch.delenv("TRITON_INTERPRET")
    assert not fused.in_use(x)  # a tensor of the CPU


@pytest.mark.parametrize("name", ["se", "cbam", "simam", "coordinate", "global_context"])
def test_programs_hold_the_plain_expression(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripted and exported with the switch on, a module is what it is without it."""
    module, x = zoo.create_attention(name, 32).eval(), torch.randn(2, 32, 6, 7)
    expected = module(x)
    monkeypatch.setenv("ZOO_FUSED", "1")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert fused.in_use(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated
        programs: list[Any] = [
            torch.jit.script(module),
            torch.jit.trace(module, x, check_trace=False),
        ]
    if name in ("cbam", "coordinate"):
        programs.append(torch.export.export(module, (x,)).module())
    with torch.no_grad():
        for program in programs:
            torch.testing.assert_close(program(x), expected, rtol=1e-6, atol=1e-6)
