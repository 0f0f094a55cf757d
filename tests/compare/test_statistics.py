"""The statistics against SciPy's, and Holm's correction against its definition."""

from __future__ import annotations

import random
from itertools import pairwise
from math import isnan

import pytest
from scipy import stats

from zoo.compare.statistics import detectable, holm, paired, power, t_cdf, t_quantile

DEGREES = (*range(1, 13), 29, 30, 99)


@pytest.mark.parametrize("df", DEGREES)
def test_students_distribution_is_that_of_scipy(df) -> None:
    for t in (-30.0, -2.0, -0.1, 0.0, 0.7, 2.5, 12.0):
        assert t_cdf(t, df) == pytest.approx(stats.t.cdf(t, df), abs=1e-12)
    for p in (0.001, 0.2, 0.5, 0.9, 0.975, 0.9995):
        assert t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("pairs", [2, 3, 5, 10])
def test_a_paired_comparison_is_scipys_paired_t_test(pairs) -> None:
    generator = random.Random(pairs)
    plain = [generator.gauss(60, 2) for _ in range(pairs)]
    own = [value + generator.gauss(0.5, 1) for value in plain]
    expected = stats.ttest_rel(own, plain)
    interval = expected.confidence_interval(0.95)
    differences = [a - b for a, b in zip(own, plain, strict=True)]
    found = paired(differences)
    assert (found.pairs, found.mean) == (pairs, pytest.approx(sum(differences) / pairs))
    assert found.sd == pytest.approx(stats.tstd(differences))
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_one_pair_has_no_interval() -> None:
    found = paired([1.5])
    assert (found.pairs, found.mean) == (1, 1.5)
    assert (found.sd, found.low, found.high, found.p) == (None, None, None, None)


@pytest.mark.parametrize("differences", [[0.0, 0.0, 0.0], [2.0, 2.0], [91.1 - 90.1, 71.3 - 70.3]])
def test_differences_that_are_all_alike_tell_nothing_of_others(differences) -> None:
    found = paired(differences)
    assert found.mean == pytest.approx(sum(differences) / len(differences))
    assert (found.sd, found.low, found.high, found.p) == (0, None, None, 1)


def test_holms_correction_is_as_defined() -> None:
    p_values = [0.01, 0.04, 0.03, 0.005, 0.9]
    in_order = sorted(p_values)
    expected: dict[float, float] = {}
    for rank, p in enumerate(in_order):  # the greatest of what the smaller ones come to
        expected[p] = min(1, max((5 - j) * in_order[j] for j in range(rank + 1)))
    assert holm(p_values) == pytest.approx([expected[p] for p in p_values])
    assert holm([0.9, 0.8, 0.7]) == [1.0, 1.0, 1.0]
    assert holm([0.01]) == [0.01]
    assert holm([]) == []


@pytest.mark.parametrize(("pairs", "tests"), [(2, 1), (5, 1), (5, 16), (20, 3)])
@pytest.mark.parametrize("difference", [0.0, 0.6, 2.0])
def test_power_is_that_of_the_noncentral_t(pairs, tests, difference) -> None:
    df, shift = pairs - 1, difference * pairs**0.5
    critical = stats.t.ppf(1 - 0.025 / tests, df)
    expected = 0.05 / tests
    if shift:
        other_side = float(stats.nct.cdf(-critical, df, shift))  # nan where it is next to nothing
        expected = stats.nct.sf(critical, df, shift) + (0 if isnan(other_side) else other_side)
    assert power(difference, 1.0, pairs, tests) == pytest.approx(expected, abs=1e-6)


def test_the_detectable_difference_is_found_four_times_in_five() -> None:
    least = detectable(2.0, 5, 4)
    assert power(least, 2.0, 5, 4) == pytest.approx(0.8, abs=1e-6)
    assert power(detectable(2.0, 5), 2.0, 5) == pytest.approx(0.8, abs=1e-6)
    assert detectable(2.0, 5) == detectable(2.0, 5, tests=1)
    found = [detectable(1.0, seeds) for seeds in (3, 5, 10, 20)]
    assert all(more > less for more, less in pairwise(found))
