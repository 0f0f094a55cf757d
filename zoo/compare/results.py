"""From finished runs to what they tell of each arm. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from zoo.compare.design import PLAIN
from zoo.compare.statistics import LEVEL, Paired, detectable, holm, paired

Run = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One arm beside the plain backbone.

    Attributes:
        label: of the arm.
        seeds: those with which it and the plain backbone have both finished.
        accuracy: the mean over these seeds, in per cent.
        plain: the same mean of the plain backbone.
        difference: of the pairs, in percentage points, with its interval.
        holm: its p-value, corrected for all arms of the table; None without an interval.
    """

    label: str
    seeds: tuple[int, ...]
    accuracy: float
    plain: float
    difference: Paired
    holm: float | None = None

    @property
    def verdict(self) -> str:
        """`better`, `worse`, `not told apart`, or `one seed`."""
        if self.holm is None:
            return "one seed"
        if self.holm >= 1 - LEVEL:
            return "not told apart"
        return "better" if self.difference.mean > 0 else "worse"


def results(runs: Sequence[Run], order: Sequence[str] | None = None) -> list[Result]:
    """Each arm that has a pair with the plain backbone.

    Args:
        order: the labels in the order of the table; by default, the greatest difference first.
    """
    accuracy = {(run["arm"], run["seed"]): float(run["accuracy"]) for run in runs}
    labels = dict.fromkeys(run["arm"] for run in runs if run["arm"] != PLAIN)
    found = [r for label in labels if (r := _result(label, accuracy)) is not None]
    found = _corrected(found)
    if order is None:
        return sorted(found, key=lambda result: -result.difference.mean)
    return sorted(found, key=lambda result: order.index(result.label))


def _result(label: str, accuracy: Mapping[tuple[str, int], float]) -> Result | None:
    seeds = sorted(s for arm, s in accuracy if arm == label and (PLAIN, s) in accuracy)
    if not seeds:
        return None
    own, plain = ([accuracy[arm, seed] for seed in seeds] for arm in (label, PLAIN))
    differences = [a - b for a, b in zip(own, plain, strict=True)]
    return Result(
        label=label, seeds=tuple(seeds), accuracy=fmean(own), plain=fmean(plain),
        difference=paired(differences),
    )  # fmt: skip


def _corrected(found: Sequence[Result]) -> list[Result]:
    tested = [r for r in found if r.difference.p is not None]
    adjusted = holm([r.difference.p for r in tested if r.difference.p is not None])
    known = {r.label: p for r, p in zip(tested, adjusted, strict=True)}
    return [replace(r, holm=known.get(r.label)) for r in found]


def pooled_sd(found: Sequence[Result]) -> float | None:
    """The standard deviation of a paired difference, over all arms together; None if unknown."""
    parts = [(r.difference.pairs - 1, r.difference.sd) for r in found]
    known = [(df, sd) for df, sd in parts if sd is not None]
    total = sum(df for df, _ in known)
    return (sum(df * sd**2 for df, sd in known) / total) ** 0.5 if total else None


def conclusion(found: Sequence[Result], what: str) -> str:
    """What may be concluded of the table, and what may not.

    Args:
        what: the backbone, the data and the recipe, as the sentence names them.
    """
    told = [r for r in found if r.holm is not None]
    if not told:
        return (
            f"Of {what} there is one seed an arm: a single difference has no interval, and nothing "
            "may be concluded from it. Give two seeds or more, better five."
        )
    better, worse, rest = ([r.label for r in told if r.verdict == v] for v in VERDICTS)
    if not better and not worse:
        first = f"With {what}, no attention was told apart from the plain backbone."
    else:
        parts = [("more accurate", better), ("less accurate", worse), ("not told apart", rest)]
        listed = "; ".join(f"{word}: {', '.join(them)}" for word, them in parts if them)
        first = f"With {what}, beside the plain backbone (Holm-corrected p < 0.05): {listed}."
    return " ".join(part for part in (first, _limit(told), SCOPE) if part)


VERDICTS = ("better", "worse", "not told apart")
SCOPE = (
    "Nothing follows for another backbone, data set, recipe or length of training. Nor does the "
    "order of the attentions: only their differences from the plain backbone are tested."
)


def _limit(told: Sequence[Result]) -> str:
    """What so few seeds could have found."""
    sd, pairs = pooled_sd(told), min(r.difference.pairs for r in told)
    if not sd:
        return ""
    least = detectable(sd, pairs, len(told))
    return (
        f"{pairs} seeds and {len(told)} comparisons find a true difference of {least:.1f} points "
        "four times in five, so that smaller ones may exist unseen."
    )
