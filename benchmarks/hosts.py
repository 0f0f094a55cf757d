"""What works in which host: the table of docs/hosts.md.

    python benchmarks/hosts.py [HOST ...]

The hosts are those of the tests (`tests/hosts/host_table.py`), small networks of real packages with
random weights. For each mechanism that a host is tried with: by how much the outputs move when it
goes in, whether a training step moves it, whether copies, pickles and files compute the same,
whether it comes out to the last bit, and whether the host with attention away from its start
compiles (TorchDynamo's graphs, run eagerly), exports (`torch.export`) and runs in onnxruntime to
the same outputs. Writes benchmarks/hosts.json after each row, and docs/hosts.md.
"""

from __future__ import annotations

import copy
import json
import pickle
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "hosts"))

from host_table import SMALL, Host  # noqa: E402
from test_hosts_matrix import IN_PLACE, as_trained, learn, run, same  # noqa: E402

import zoo  # noqa: E402
from zoo.hosts.swap import added  # noqa: E402
from zoo.runtime.files import write_atomically  # noqa: E402

RECORD = ROOT / "benchmarks" / "hosts.json"
PAGE = ROOT / "docs" / "hosts.md"
HEAD = """\
# Hosts that attention is proved on

Written by `python benchmarks/hosts.py`; do not edit. The hosts are small networks of the packages
that people use, with random weights; the tests in `tests/hosts` hold the same, and with `-m slow`
for the networks in full size. *Moved* is the largest change of any output when the attention goes
in, over the largest output. Then: a training step moves the attention; copies, pickles and a file
of `zoo.save_attention` compute the same; `zoo.remove_attention` gives the host back to the last
bit. With the attention away from its start, the host is compiled (graphs of TorchDynamo, run
eagerly), exported (`torch.export`) and, where one tensor goes in, run by onnxruntime, each to the
same outputs (✓). What does not is named below.

| host | mechanism | form | moved | learns | copies | comes out | compiles | exports | ONNX |
|---|---|---|---|---|---|---|---|---|---|
"""
Check = Callable[[nn.Module, Any, Host], str]


def moved(found: list[Tensor], wanted: list[Tensor]) -> float:
    changes = [
        float((f - w).abs().max() / w.abs().max().clamp(min=1e-12))
        for f, w in zip(found, wanted, strict=True) if w.numel()
    ]  # fmt: skip
    return max(changes, default=0.0)


def learns(model: nn.Module, example: Any, host: Host) -> str:
    learn(copy.deepcopy(model), example, host)
    return "✓"


def copies(model: nn.Module, example: Any, host: Host) -> str:
    wanted = run(model, example)
    again = (copy.deepcopy(model), pickle.loads(pickle.dumps(model)))
    assert all(same(run(each, example), wanted, 1e-6) for each in again)
    fresh = copy.deepcopy(model)
    with tempfile.TemporaryDirectory() as folder:
        path = zoo.save_attention(model, Path(folder) / "added.safetensors")
        zoo.remove_attention(fresh)
        zoo.load_attention(fresh, path, strict=True)
    assert same(run(fresh, example), wanted, 1e-6)
    return "✓"


def compiles(model: nn.Module, example: Any, host: Host) -> str:
    compiled: Any = torch.compile(model, backend="eager")
    assert same(run(compiled, example), run(model, example))
    return "✓"


def exports(model: nn.Module, example: Any, host: Host) -> str:
    args, keywords = ((), example) if isinstance(example, dict) else ((example,), {})
    program = torch.export.export(model, args, keywords)
    assert same(run(program.module(), example), run(model, example))
    return "✓"


def onnx(model: nn.Module, example: Any, host: Host) -> str:
    if not isinstance(example, Tensor):
        return "-"
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        torch.onnx.export(model, (example,), file, dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession(str(file))
        found = session.run(None, {session.get_inputs()[0].name: example.numpy()})
    assert same([torch.from_numpy(t) for t in found], run(model, example), 1e-4)
    return "✓"


CHECKS: dict[str, Check] = {
    "learns": learns, "copies": copies, "compiles": compiles, "exports": exports, "onnx": onnx,
}  # fmt: skip


def tried(check: Check, model: nn.Module, example: Any, host: Host) -> str:
    """`✓`, `-`, or why it does not work, in a line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return check(model, example, host)
    except Exception as error:  # the host's packages may raise anything
        line = " ".join(str(error).split())[:120]
        return f"{type(error).__name__}: {line}" if line else type(error).__name__


def row(host: Host, mechanism: str) -> dict[str, Any]:
    """One mechanism in one host."""
    torch.manual_seed(0)
    torch._dynamo.reset()
    model, example = as_trained(host.build()).eval(), host.example()
    before, state = run(model, example), copy.deepcopy(model.state_dict())
    at = None if mechanism in IN_PLACE else host.at
    zoo.add_attention(model, mechanism, at=at, example=example)
    found: dict[str, Any] = {"moved": moved(run(model, example), before)}
    forms = {r.form for _, _, r in added(model)}
    found["form"] = ", ".join(sorted(forms))
    with torch.no_grad():
        for parameter in zoo.attention_parameters(model):
            parameter.add_(0.1 * torch.randn_like(parameter))
    found |= {name: tried(check, model, example, host) for name, check in CHECKS.items()}
    zoo.remove_attention(model)
    out = all(map(torch.equal, run(model, example), before))
    same_state = all(torch.equal(t, state[k]) for k, t in model.state_dict().items())
    found["comes_out"] = "✓" if out and same_state else "no"
    return found


def page(rows: dict[str, dict[str, Any]]) -> str:
    order = ("learns", "copies", "comes_out", "compiles", "exports", "onnx")
    reasons: dict[str, int] = {}
    lines = []
    for key, found in rows.items():
        host, mechanism = key.split("/")
        cells = [_cell(found[name], reasons) for name in order]
        lines.append(
            f"| {host.replace('_', ' ', 1)} | `{mechanism}` | {found['form']} | "
            f"{found['moved']:.1g} | {' | '.join(cells)} |\n"
        )
    notes = "".join(f"{number}. {reason}\n" for reason, number in reasons.items())
    return HEAD + "".join(lines) + (f"\n{notes}" if notes else "")


def _cell(value: str, reasons: dict[str, int]) -> str:
    return value if value in ("✓", "-", "no") else str(reasons.setdefault(value, len(reasons) + 1))


def main() -> None:
    rows = json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {}
    for name in sys.argv[1:] or SMALL:
        for mechanism in SMALL[name].mechanisms:
            rows[f"{name}/{mechanism}"] = row(SMALL[name], mechanism)
            print(name, mechanism, rows[f"{name}/{mechanism}"], flush=True)
            write_atomically(RECORD, f"{json.dumps(rows, indent=1)}\n".encode())
            write_atomically(PAGE, page(rows).encode())


if __name__ == "__main__":
    main()
