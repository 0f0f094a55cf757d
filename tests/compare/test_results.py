"""From runs to results: pairs, verdicts, and the sentence of what may be concluded."""

from __future__ import annotations

from typing import Any

import pytest

from zoo.compare.plots import forest, front, pareto, save
from zoo.compare.results import conclusion, pooled_sd, results
from zoo.compare.table import HEAD, markdown, rows, text

COST = {"parameters": 1000, "macs": 2_500_000, "latency_ms": 1.25, "memory_mb": 3.0}


def runs(**accuracies: list[float]) -> list[dict[str, Any]]:
    return [
        {"arm": arm, "seed": seed, "accuracy": value}
        for arm, values in accuracies.items()
        for seed, value in enumerate(values)
    ]


CLEAR = runs(plain=[60, 62, 61, 63], se=[65, 67.1, 66, 68], eca=[60.5, 61, 62, 62.5],
             bam=[50, 52, 51.1, 53])  # fmt: skip


def test_differences_are_taken_seed_by_seed() -> None:
    by_label = {result.label: result for result in results(CLEAR)}
    se = by_label["se"].difference
    assert se.mean == pytest.approx((5 + 5.1 + 5 + 5) / 4)
    assert se.sd == pytest.approx(0.05)  # of the differences, not of the accuracies
    assert by_label["se"].plain == 61.5


def test_a_seed_without_its_partner_does_not_count() -> None:
    some = [run for run in CLEAR if (run["arm"], run["seed"]) not in {("plain", 3), ("se", 0)}]
    by_label = {result.label: result for result in results(some)}
    assert by_label["se"].seeds == (1, 2)
    assert by_label["eca"].seeds == (0, 1, 2)


def test_verdicts_are_by_the_corrected_p_value() -> None:
    by_label = {result.label: result for result in results(CLEAR)}
    assert {label: result.verdict for label, result in by_label.items()} == {
        "se": "better", "eca": "not told apart", "bam": "worse",
    }  # fmt: skip
    close = runs(plain=[60, 61, 62, 63], se=[60.5, 62.2, 62.7, 63.9], eca=[60, 62, 61, 63])
    alone, both = results([r for r in close if r["arm"] != "eca"]), results(close)
    assert alone[0].difference == next(r for r in both if r.label == "se").difference
    assert next(r.holm for r in both if r.label == "se") == pytest.approx(2 * (alone[0].holm or 0))


def test_the_greatest_difference_comes_first() -> None:
    assert [result.label for result in results(CLEAR)] == ["se", "eca", "bam"]


def test_the_sentence_names_each_group_and_what_does_not_follow() -> None:
    said = conclusion(results(CLEAR), "a network")
    assert "more accurate: se; less accurate: bam; not told apart: eca." in said
    assert "4 seeds and 3 comparisons find a true difference of" in said
    assert "Nothing follows for another backbone" in said


def test_null_results_are_said_as_such() -> None:
    said = conclusion(results(runs(plain=[1, 2, 3], se=[1, 3, 2])), "a network")
    assert "no attention was told apart from the plain backbone" in said


def test_one_seed_allows_no_conclusion() -> None:
    found = results(runs(plain=[60], se=[70]))
    assert found[0].verdict == "one seed"
    assert "nothing may be concluded" in conclusion(found, "a network")
    assert pooled_sd(found) is None
    assert rows(found, {})[1][3] == "+10.00"  # no interval is shown


def test_a_null_result_has_a_row_like_any_other() -> None:
    found = results(CLEAR)
    table = rows(found, {"plain": COST, "se": COST})
    assert [row[0] for row in table] == ["plain", "se", "eca", "bam"]
    assert {len(row) for row in table} == {len(HEAD)}
    assert table[1][6:] == ["1,000", "2.50", "1.25", "3.0"]
    assert table[2][6:] == ["", "", "", ""]
    assert markdown(table).count("\n") == 6
    assert text(table).splitlines()[2].startswith("se ")


def test_the_front_is_of_those_that_none_beats() -> None:
    places = {"plain": (1.0, 0.0), "slow": (3.0, 0.5), "good": (2.0, 0.5), "worse": (1.5, -1.0)}
    assert front(places) == ["plain", "good"]


def test_pictures_are_png_and_svg(tmp_path) -> None:
    found = results(CLEAR)
    costs = {label: COST for label in ("plain", "se", "eca")}  # bam was not measured
    save(forest(found, CLEAR, "a network"), tmp_path / "forest")
    save(pareto(found, costs, "a network"), tmp_path / "pareto")
    for kind in ("forest", "pareto"):
        assert (tmp_path / f"{kind}.png").read_bytes()[1:4] == b"PNG"
        assert "<svg" in (tmp_path / f"{kind}.svg").read_text()
