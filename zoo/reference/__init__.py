"""Reference cases: does a mechanism compute what its authors' code computed?

A case is a safetensors file with fixed weights, inputs, outputs and gradients of the authors' code.
A `models.json` describes whole networks, whose weights are drawn from the authors' key names.
`verify(paths)` runs either and returns one `CaseResult` a case; it never raises for a bad file.
"""

from __future__ import annotations

from zoo.reference.result import CaseResult
from zoo.reference.verify import verify

__all__ = ["CaseResult", "verify"]
