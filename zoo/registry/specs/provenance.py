"""Where a mechanism or a model comes from: its paper, and the code that it was checked against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

KeyMap: TypeAlias = str | tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A publication. `arxiv` is the bare identifier, such as `"1709.01507"`, and so is `doi`."""

    title: str
    authors: str = ""
    venue: str = ""
    year: int = 0
    arxiv: str = ""
    doi: str = ""

    @property
    def url(self) -> str:
        """The address of the arXiv page, else that of the DOI, else an empty string."""
        if self.arxiv:
            return f"https://arxiv.org/abs/{self.arxiv}"
        return f"https://doi.org/{self.doi}" if self.doi else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a mechanism or a model comes from, and how it was checked.

    Attributes:
        paper: the publication.
        license: the licence of the reference code.
        reference: who wrote that code: `authors`, `transcribed`, `independent` or `equations`.
        verified: `cases` where recorded outputs and gradients are reproduced, or `equations`.
        key_map: the authors' state dict to ours. It is a tuple of pairs (regular expression,
            replacement), or the target of a function `(state, module) -> state`.
        reference_call: the target of a function `(module, *inputs) -> outputs`, where calling the
            module itself does not give all outputs that a reference case records.
        notes: departures of the authors' code from their paper, in a sentence or two.
    """

    paper: Paper | None = None
    license: str = ""
    reference: str = ""
    verified: str = ""
    key_map: KeyMap = ()
    reference_call: str = ""
    notes: str = ""
