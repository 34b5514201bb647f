"""How many seeds decide a claim, against simulated sweeps of so many seeds."""

import numpy as np
import pytest

from analysis.published.claim import Finding, Rule, above, below, within
from analysis.published.judging import judge
from analysis.published.seeds_needed import seeds_needed
from analysis.statistics.intervals import Estimate, mean_of


def found(value: float, scatter: float = 1.0, seeds: int = 6, shared: float = 0.0) -> Estimate:
    """An estimate over seeds with this mean and scatter, exactly."""
    error = scatter / np.sqrt(seeds)
    return Estimate(value=value, error=error, degrees_of_freedom=seeds - 1, shared_error=shared)


@pytest.mark.parametrize(
    ("rule", "value", "verdict"),
    [
        (above(0.05), 0.5, "holds"),
        (above(0.05), -0.5, "fails"),
        (below(0.05), -0.4, "holds"),
        (within(0.5), 0.1, "holds"),
        (within(0.3), 0.0, "holds"),
        (within(0.2), 0.7, "fails"),
    ],
)
def test_with_so_many_seeds_four_of_five_sweeps_decide(rule: Rule, value: float, verdict: str) -> None:
    count, would = seeds_needed(rule, {"one": found(value)})
    assert would == verdict
    assert count is not None
    rng = np.random.default_rng(0)

    def share(seeds: int) -> float:
        drawn = value + rng.standard_normal((2000, seeds))
        return float(np.mean([judge(rule, Finding(estimates={"a": mean_of(row)})).verdict == verdict for row in drawn]))

    assert share(count) > 0.75
    assert share(max(2, count // 2)) < 0.75


def test_of_several_estimates_the_slowest_has_to_hold_and_the_fastest_may_fail() -> None:
    rule = above(0.0)
    slow, fast = seeds_needed(rule, {"one": found(0.3)})[0], seeds_needed(rule, {"one": found(0.9)})[0]
    assert slow is not None
    assert fast is not None
    assert slow > fast
    assert seeds_needed(rule, {"one": found(0.3), "other": found(0.9)}) == (slow, "holds")
    count, would = seeds_needed(rule, {"one": found(0.3), "other": found(-0.9), "third": found(-0.1)})
    assert would == "fails"
    assert count is not None
    assert fast <= count < slow  # one that fails is looked at with an interval for three


def test_of_many_estimates_all_hold_in_four_of_five_sweeps() -> None:
    names, rule = [f"{number}" for number in range(15)], within(0.5)
    count, would = seeds_needed(rule, {name: found(0.0) for name in names})
    assert would == "holds"
    assert count is not None
    rng = np.random.default_rng(0)

    def share(seeds: int) -> float:
        drawn = rng.standard_normal((400, len(names), seeds))
        findings = [Finding(estimates=dict(zip(names, map(mean_of, sweep), strict=True))) for sweep in drawn]
        return float(np.mean([judge(rule, each).verdict == "holds" for each in findings]))

    assert share(count) > 0.75
    assert share(count // 2) < 0.75


def test_where_no_number_of_seeds_would_do() -> None:
    assert seeds_needed(above(0.0), {"one": found(0.01)}) == (None, "holds")
    assert seeds_needed(above(0.0), {"one": found(0.1, shared=1.0)})[0] is None
    assert "more than 1,000 seeds" in judge(above(0.0), Finding(estimates={"one": found(0.01)})).note


def test_an_undecided_verdict_says_it_and_a_decided_one_does_not() -> None:
    open_verdict = judge(above(0.0), Finding(estimates={"one": found(0.3)}))
    assert open_verdict.verdict == "undecided"
    assert open_verdict.needed == seeds_needed(above(0.0), {"one": found(0.3)})[0]
    assert f"would take about {open_verdict.needed} seeds, and then hold" in open_verdict.note
    decided = judge(above(0.0), Finding(estimates={"one": found(9.0)}))
    assert (decided.verdict, decided.needed) == ("holds", None)
    assert "seeds" not in decided.note
