"""Everything that is to be known of the zoo on a GPU, in one run of a few minutes.

    python benchmarks/gpu.py [--minutes 6] [--parts references attentions ...] [--out FILE]
    python benchmarks/gpu.py --dry          # every part on the CPU, in sizes that mean nothing

It runs from a plain checkout, with PyTorch, timm, pluggy, click and safetensors; nothing is
installed. Each part has a share of the time. The record is written after each row, and names what
was left out when the time of a part was over, so that a run that is cut keeps what it has. A row
that fails holds the error.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import time
from pathlib import Path

from gpu_parts.checkout import ROOT, make_importable

# Part -> (module of gpu_parts, function, share of the time), in the order in which they run.
PARTS = {
    "roofline": ("evaluation", "roofline", 0.02),
    "references": ("references", "float32", 0.16),
    "bfloat16": ("references", "bfloat16", 0.08),
    "evaluation": ("evaluation", "rates", 0.22),
    "attentions": ("attentions", "eager", 0.15),
    "fused": ("attentions", "fused", 0.07),
    "compiled_attentions": ("attentions", "compiled", 0.1),
    "compiled_networks": ("evaluation", "compiled", 0.1),
    "compiled_references": ("references", "compiled", 0.1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=6.0, help="for all parts together")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--dry", action="store_true", help="try it on the CPU")
    parser.add_argument("--cases", type=Path, default=ROOT / "tests" / "reference" / "cases")
    parser.add_argument("--out", type=Path, default=Path("build") / "gpu.json")
    args = parser.parse_args()
    if args.dry:
        os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported
    os.environ["ZOO_FUSED"] = "0"
    make_importable()
    measure(args)


def measure(args: argparse.Namespace) -> None:
    import torch
    from gpu_parts.session import Session

    if not args.dry and not torch.cuda.is_available():
        sys.exit("There is no CUDA device here; --dry tries everything on the CPU.")
    device = torch.device("cpu" if args.dry else "cuda")
    session = Session(device, args.dry, args.out, args.cases)
    session.record["setting"] = {
        "dry": args.dry, "torch": torch.__version__, "python": platform.python_version(),
        "device": "cpu" if args.dry else torch.cuda.get_device_name(),
    }  # fmt: skip
    ends = time.monotonic() + 60 * args.minutes
    shares = sum(PARTS[part][2] for part in args.parts)
    for part in args.parts:  # what a part does not use is left to those after it
        module, function, share = PARTS[part]
        session.start(part, max(ends - time.monotonic(), 0.0) * share / shares)
        shares -= share
        getattr(importlib.import_module(f"gpu_parts.{module}"), function)(session)
        print(f"{part}: {len(session.record['parts'][part]['rows'])} rows", flush=True)


if __name__ == "__main__":
    main()
