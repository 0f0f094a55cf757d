"""Reference cases: does a mechanism compute what its authors' code computed?

A case is a safetensors file with fixed weights, inputs, outputs and gradients of the authors' code.
A `models.json` describes whole networks, whose weights are drawn from the names of the authors'
keys. `verify(paths)` runs either, and returns one `CaseResult` for each case. It never raises
because a file is bad.
"""

from __future__ import annotations

from zoo.reference.result import CaseResult
from zoo.reference.verify import verify

__all__ = ["CaseResult", "verify"]
