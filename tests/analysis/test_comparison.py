"""Equivalence, difference and dominance at the rates that they promise, over planted sweeps."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from analysis import compare, compare_all
from analysis.statistics.comparison import Comparison, equivalence
from analysis.statistics.intervals import Estimate
from tests.conftest import extent
from tests.helpers import synthetic_curves as planted
from tests.helpers.synthetic_curves import hump

SWEEPS = {True: 200, False: 80}  # planted, in the long form and in the suite


def comparisons(gap: float, *, seeds: int = 6, margin: float = 0.2, sweeps: int) -> list[Comparison]:
    """Comparisons of two losses whose gold differs by `gap` on average over KL."""
    rng = np.random.default_rng(round(1000 * gap) + seeds)
    truth = {"logistic": lambda kl: hump(kl) + gap * (kl > 0), "hinge": hump}
    found = []
    for _ in range(sweeps):
        curves = planted.sweep(rng, seeds=seeds, truth=truth, steps=2)
        found.append(compare(curves, "logistic", "hinge", margin=margin, upto=4.0))
    return found


def error_of(count: int) -> float:
    """The standard error of a share of 5 % among so many."""
    return float(np.sqrt(0.05 * 0.95 / count))


def power(error: float, seeds: int, margin: float) -> float:
    """How often equal means are found equivalent, for a standard error: Schuirmann's two tests, by simulation."""
    rng = np.random.default_rng(0)
    values = rng.normal(0, error * np.sqrt(seeds), size=(20000, seeds))
    mean, deviation = values.mean(axis=1), values.std(axis=1, ddof=1)
    return float((np.abs(mean) + student.ppf(0.95, seeds - 1) * deviation / np.sqrt(seeds) < margin).mean())


@pytest.fixture(scope="module")
def equal(request: pytest.FixtureRequest) -> list[Comparison]:
    return comparisons(0.0, sweeps=SWEEPS[extent(request.config) == "long"])


def test_equal_methods_are_found_different_at_the_nominal_rate(equal: list[Comparison]) -> None:
    rate = np.mean([each.p < 0.05 for each in equal])
    assert abs(rate - 0.05) <= 2 * error_of(len(equal))
    covered = np.mean([each.low <= 0 <= each.high for each in equal])
    assert abs(covered - 0.95) <= 2 * error_of(len(equal))


def test_equal_methods_are_found_equivalent_at_the_nominal_rate(equal: list[Comparison]) -> None:
    error = float(np.std([each.difference for each in equal]))
    rate = np.mean([each.smallest_margin < 0.2 for each in equal])
    assert rate == pytest.approx(power(error, 6, 0.2), abs=0.08)
    assert rate > 0.8
    assert all(each.smallest_everywhere < 0.2 for each in equal if each.equivalent)
    assert np.mean([each.equivalent for each in comparisons(0.0, seeds=10, margin=0.4, sweeps=40)]) > 0.9


@pytest.mark.slow
def test_methods_that_differ_by_the_margin_are_hardly_ever_found_equivalent(long: bool) -> None:
    found = comparisons(0.1, margin=0.1, sweeps=SWEEPS[long])
    gap = float(np.mean([each.difference for each in found]))
    rate = np.mean([each.smallest_margin < abs(gap) for each in found])  # at the margin that they differ by
    assert rate <= 0.05 + 2 * error_of(len(found))


def test_methods_that_differ_by_a_known_gap_are_found_to_differ() -> None:
    found = comparisons(0.5, sweeps=60)
    assert np.mean([each.p < 0.05 for each in found]) > 0.95
    assert np.mean([each.low <= 0.5 <= each.high for each in found]) >= 0.85
    assert not any(each.equivalent for each in found)
    assert {each.verdict for each in found} <= {"a dominates", "a is better", "undecided"}
    assert np.mean([each.verdict in ("a dominates", "a is better") for each in found]) > 0.95


def test_a_method_that_is_better_everywhere_dominates_and_curves_that_cross_do_not() -> None:
    rng = np.random.default_rng(0)
    above = {"logistic": lambda kl: hump(kl) + 0.4 * np.sqrt(kl), "hinge": hump}
    crossing = {"logistic": lambda kl: hump(kl) + 0.5 * (kl - 2) * (kl > 0), "hinge": hump}
    curves = planted.sweep(rng, seeds=8, truth=above, spread=0.05, steps=2)
    assert compare(curves, "logistic", "hinge").verdict == "a dominates"
    assert compare(curves, "hinge", "logistic").verdict == "b dominates"
    crossed = compare(planted.sweep(rng, seeds=8, truth=crossing, spread=0.05, steps=2), "logistic", "hinge", upto=4.0)
    assert crossed.least < 0 < crossed.most
    assert "dominates" not in crossed.verdict
    assert crossed.smallest_margin < 0.2 < crossed.smallest_everywhere
    assert not crossed.equivalent
    assert crossed.verdict == "equal on average"
    assert crossed.above > 0
    assert crossed.below > 0


def test_simultaneous_intervals_hold_all_places_at_once(equal: list[Comparison]) -> None:
    held = [each.least_low <= 0 <= each.most_high and each.above == each.below == 0 for each in equal]
    assert np.mean(held) >= 0.95 - 2 * error_of(len(equal))


def test_the_smallest_margin_is_where_the_tests_just_succeed() -> None:
    estimate = Estimate(value=0.1, error=0.05, degrees_of_freedom=7)
    p, smallest = equivalence(estimate, 0.2)
    assert equivalence(estimate, smallest)[0] == pytest.approx(0.05, abs=1e-6)
    assert p == pytest.approx(student.sf(2.0, 7), abs=1e-9)  # (0.2 - 0.1) / 0.05
    assert equivalence(Estimate(value=0.1, error=np.nan), 0.2)[1] == np.inf
    assert equivalence(Estimate(value=0.1), 0.2) == (0.0, 0.1)
    assert equivalence(Estimate(value=0.1, shared_error=0.05), 0.2)[1] == pytest.approx(0.1 + 1.645 * 0.05, abs=1e-3)
    both = Estimate(value=0.5, error=0.02, degrees_of_freedom=2, shared_error=0.2)
    assert equivalence(both, equivalence(both, 1.0)[1])[0] == pytest.approx(0.05, abs=1e-6)
    assert both.beyond(both.interval(0.9)[0]) == pytest.approx(0.05, abs=1e-6)


def test_what_only_one_of_two_methods_has_is_not_a_difference_between_them() -> None:
    """Gold is lower with noise for both; where one of them diverged with noise, what is left is compared."""
    rng = np.random.default_rng(0)
    truth = {"logistic": hump, "hinge": hump}
    clean = planted.sweep(rng, seeds=5, truth=truth, spread=0.02, steps=2).assign(label_noise=0.0)
    noisy = clean.assign(label_noise=0.25, gold=clean["gold"] - (clean["kl"] > 0), run_id=clean["run_id"] + "n")
    both = pd.concat([clean, noisy[noisy["loss"] == "hinge"]], ignore_index=True)
    pooled = compare(both, "logistic", "hinge", pool="label_noise")
    assert pooled.difference == pytest.approx(compare(clean, "logistic", "hinge").difference, abs=1e-9)
    assert pooled.pooled == "label_noise 0, 0.25"


def test_one_seed_leaves_everything_undecided() -> None:
    curves = planted.sweep(np.random.default_rng(0), seeds=1, truth={"logistic": hump, "hinge": hump}, steps=2)
    found = compare(curves, "logistic", "hinge")
    assert found.verdict == "undecided"
    assert np.isnan([found.low, found.p, found.equivalence_p, found.least_low]).all()


def test_every_pair_is_compared() -> None:
    truth = {"logistic": hump, "hinge": hump, "squared": hump}
    table = compare_all(planted.sweep(np.random.default_rng(0), seeds=4, truth=truth, steps=2))
    assert list(zip(table["a"], table["b"], strict=True)) == [
        ("logistic", "hinge"),
        ("logistic", "squared"),
        ("hinge", "squared"),
    ]


def test_what_cannot_be_compared_is_refused_with_the_reason() -> None:
    curves = planted.sweep(np.random.default_rng(0), seeds=2, truth={"logistic": hump, "hinge": hump}, steps=2)
    with pytest.raises(ValueError, match="loss = 'ipo': must be one of logistic, hinge"):
        compare(curves, "logistic", "ipo")
    with pytest.raises(ValueError, match="margin"):
        compare(curves, "logistic", "hinge", margin=0.0)
    apart = curves.assign(seed=curves["seed"] + 10 * curves["loss"].eq("hinge"))
    with pytest.raises(ValueError, match="no seed in common"):
        compare(apart, "logistic", "hinge")
    with pytest.raises(ValueError, match=r"upto \(=-1\) must be above 0"):
        compare(curves, "logistic", "hinge", upto=-1)
    assert compare_all(apart).empty
    still = curves.assign(kl=curves["kl"] * curves["loss"].eq("hinge"))
    with pytest.raises(ValueError, match="never leaves the reference"):
        compare(still, "logistic", "hinge")
