"""What became of one case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["passed", "failed", "unsupported"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One row of `zoo verify`.

    Attributes:
        file: the file's name; for an entry of a models.json, `models.json::NAME`.
        path: where it was found.
        mechanism: the mechanism or model that it names, or an empty string.
        status: `unsupported`: no plugin has a mechanism or model of that name.
        max_abs_error: largest |ours - theirs| over the outputs, if they could be compared.
        max_grad_error: the same over the gradients.
        reason: why it did not pass.
    """

    file: str
    path: str
    mechanism: str = ""
    status: Status = "failed"
    max_abs_error: float | None = None
    max_grad_error: float | None = None
    reason: str = ""
