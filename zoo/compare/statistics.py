"""The statistics of paired comparisons: Student's t, Holm's correction, and power. No torch.

Degrees of freedom are whole numbers here (pairs less one), for which Student's distribution is a
finite sum (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4). SciPy has
all of this but Holm's correction. It is no dependency of the zoo, so the tests compare with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import atan, cos, exp, isclose, lgamma, log, pi, sin, sqrt
from statistics import NormalDist, fmean, stdev

LEVEL = 0.95
POWER = 0.8
ROUNDING = 1e-9  # percentage points: what is closer is equal, but for how it was computed


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """What paired differences tell.

    Attributes:
        pairs: how many differences there are.
        mean: of the differences.
        sd: their standard deviation; None for one pair.
        low, high: the 95 % interval of the mean, by Student's t; None for one pair.
        p: how often a mean at least so far from 0 would be seen if the true one were 0 (two-sided);
            None for one pair.

    Differences that are all equal do not tell how far others would lie. Few images make them: two
    seeds that gain one image each. So they have no interval, and their p is 1.
    """

    pairs: int
    mean: float
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None


def paired(differences: Sequence[float]) -> Paired:
    """The paired t-test of differences, of which there is at least one."""
    pairs, mean = len(differences), fmean(differences)
    if pairs < 2:
        return Paired(pairs=pairs, mean=mean)
    if max(differences) - min(differences) < ROUNDING:
        return Paired(pairs=pairs, mean=mean, sd=0.0, p=1.0)
    sd = stdev(differences)
    error, df = sd / sqrt(pairs), pairs - 1
    half = t_quantile(0.5 + LEVEL / 2, df) * error
    p = 2 * (1 - t_cdf(abs(mean) / error, df))
    return Paired(pairs=pairs, mean=mean, sd=sd, low=mean - half, high=mean + half, p=p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p-value after Holm's step-down correction for as many comparisons.

    S. Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = least
    return adjusted


def t_cdf(t: float, df: int) -> float:
    """The chance that Student's t with `df` degrees of freedom is at most `t`."""
    angle = atan(t / sqrt(df))
    term = total = cos(angle) if df % 2 else 1.0
    for k in range(3 if df % 2 else 2, df - 1, 2):
        term *= (k - 1) / k * cos(angle) ** 2
        total += term
    if df % 2:
        inside = 2 / pi * (angle + (sin(angle) * total if df > 1 else 0.0))
    else:
        inside = sin(angle) * total
    return (1 + inside) / 2


def t_quantile(p: float, df: int) -> float:
    """The t that is not exceeded with chance `p`, which is between 0 and 1."""
    if p < 0.5:
        return -t_quantile(1 - p, df)
    return _root(lambda t: t_cdf(t, df) - p)


def power(difference: float, sd: float, pairs: int, tests: int = 1) -> float:
    """How likely a paired t-test finds a true difference, at the 5 % level.

    The test statistic has the noncentral t distribution. Its tails are integrated over the
    distribution of the sample's standard deviation.

    Args:
        difference: the true mean of the differences.
        sd: the true standard deviation of the differences.
        pairs: how many seeds there are, at least 2.
        tests: how many comparisons share the 5 %. By Bonferroni's rule, the strictest step of
            Holm's, each is tested at a level that is so many times less.
    """
    df = pairs - 1
    critical = t_quantile(1 - (1 - LEVEL) / (2 * tests), df)
    shift, cdf = difference / sd * sqrt(pairs), NormalDist().cdf

    def density(s: float) -> float:  # of the sample's standard deviation as a multiple of the true
        log_density = (
            log(2) + df / 2 * log(df / 2) - lgamma(df / 2) + (df - 1) * log(s) - df * s * s / 2
        )
        return exp(log_density) * (cdf(shift - critical * s) + cdf(-shift - critical * s))

    width = min(1.0, 1 / sqrt(df))
    return _integral(density, max(1e-9, 1 - 12 * width), 1 + 12 * width)


def detectable(sd: float, pairs: int, tests: int = 1) -> float:
    """The true difference that so many pairs find with a chance of 80 %; see `power`."""
    return sd * _root(lambda difference: power(difference, 1.0, pairs, tests) - POWER)


def _root(f: Callable[[float], float]) -> float:
    """Where a rising function that is negative at 0 becomes 0."""
    low, high = 0.0, 1.0
    while f(high) < 0:
        low, high = high, 2 * high
    while not isclose(low, high, rel_tol=1e-12, abs_tol=1e-15):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) < 0 else (low, middle)
    return (low + high) / 2


def _integral(f: Callable[[float], float], low: float, high: float, steps: int = 1000) -> float:
    """By Simpson's rule."""
    width = (high - low) / steps
    values = (
        f(low + i * width) * (1 + (0 < i < steps) * (1 + 2 * (i % 2))) for i in range(steps + 1)
    )
    return sum(values) * width / 3
