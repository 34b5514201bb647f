"""Peaks and the best beta are cross-fitted, intervals stay within what is possible, and text says what it counts."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis import best, peaks
from analysis.published.claim import Finding, above, below, outside, within
from analysis.published.holm import holm
from analysis.published.judging import judge
from analysis.statistics.intervals import CORRELATION, NOT_BELOW_0, Estimate, over_seeds, student_half
from analysis.statistics.peaks import fall_with_error, jackknife, smooth_peak_and_fall, smooth_peak_golds
from tests.helpers import synthetic_curves as planted

FLAT = {"a": lambda kl: 0.5 * np.sqrt(kl) / np.sqrt(5.5)}


def test_the_peak_of_nothing_but_noise_is_not_above_it() -> None:
    """Gold is 1 everywhere but for noise: the maximum of means is too high, what is cross-fitted is not."""
    found, plain = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        curves = planted.sweep(rng, seeds=4, truth={"a": lambda kl: 0.0 * kl}, steps=8)
        curves["gold"] = 1.0 + rng.normal(0, 0.3, len(curves))
        row = best(curves).iloc[0]
        found.append(row["peak_gold"])
        plain.append(curves.groupby(["beta", "step"])["gold"].mean().max())
        assert row["peak_gold_low"] < row["peak_gold"] < row["peak_gold_high"]
    assert np.mean(plain) > 1.25
    assert np.mean(found) == pytest.approx(1.0, abs=0.06)


def at_places_of_two_others(table: pd.DataFrame) -> float:
    """The mean over 3 seeds of gold where the other two peak: both, or one of them drawn twice, a quarter each."""
    found = []
    for seed in table.index:
        first, second = table.drop(index=seed).to_numpy()
        own = table.loc[seed].to_numpy()
        places = [(first + second).argmax()] * 2 + [first.argmax(), second.argmax()]
        found.append(own[places].mean())
    return float(np.mean(found))


def test_cross_fitting_is_what_it_is_by_hand() -> None:
    curves = planted.sweep(np.random.default_rng(1), seeds=3, truth={"a": planted.hump}, steps=5, spread=0.4)
    table = curves.pivot_table(index="seed", columns=["beta", "step"], values="gold")
    row = best(curves).iloc[0]
    assert row["peak_gold"] == pytest.approx(at_places_of_two_others(table), abs=0.02)
    assert row["best_beta"] == table.mean().idxmax()[0]
    along = peaks(curves).set_index("beta")
    for beta in table.columns.get_level_values("beta").unique():
        one = table[beta]
        assert along.loc[beta, "peak_gold"] == pytest.approx(at_places_of_two_others(one), abs=0.02)
        assert along.loc[beta, "peak_step"] == one.mean().idxmax()
        assert along.loc[beta, "peak_kl_low"] <= along.loc[beta, "peak_kl"] + 1e-9


@pytest.mark.parametrize("seeds", [4, 8, 16])
def test_intervals_of_peaks_and_falls_hold_the_truth(seeds: int) -> None:
    """A hump that falls by 0.53 from 1.2, of seeds that differ in height and in how they end, and wander."""
    rng, x = np.random.default_rng(seeds), np.linspace(0, 1, 20)
    truth = 1.2 * np.sin(np.pi * 0.85 * np.sqrt(x))
    held = []
    for _ in range(120):
        height, end = rng.normal(0, 0.15, (seeds, 1)), rng.normal(0, 0.5, (seeds, 1))
        gold = truth + height * np.minimum(1, 3 * x) + end * np.maximum(0, x - 0.3)
        gold += rng.normal(0, 0.03, gold.shape).cumsum(axis=1) + rng.normal(0, 0.05, gold.shape)
        peak, error, fall, fall_error = smooth_peak_and_fall(gold)
        half = student_half(np.array([error, fall_error]), seeds - 1)
        held.append(np.abs([peak - truth.max(), fall - (truth.max() - truth[-1])]) <= half)
    assert (np.mean(held, axis=0) >= 0.9).all()


@pytest.mark.parametrize("seeds", [2, 3, 4, 9])
def test_the_error_of_a_smooth_peak_is_its_jackknife(seeds: int, rng: np.random.Generator) -> None:
    """Left out one by one, as by definition; and one seed has none."""
    gold = rng.normal(0, 0.3, (seeds, 12)).cumsum(axis=1)
    value, error, fall, fall_error = smooth_peak_and_fall(gold)
    plain = jackknife(smooth_peak_golds, gold)
    assert (value, error) == pytest.approx(plain, rel=1e-12)
    loses = jackknife(lambda some: smooth_peak_golds(some) - some[:, -1], gold)
    assert (fall, fall_error) == pytest.approx(loses, rel=1e-12)
    assert math.isnan(smooth_peak_and_fall(gold[:1])[1])


def test_a_fall_of_0_is_not_known_better_than_seeds_tell() -> None:
    """Whichever seed is left out the end is the highest, and yet one draw in a few says otherwise."""
    gold = np.array([[0.0, 1.0, 1.3], [0.0, 1.0, 1.3], [0.0, 1.0, 1.3], [0.0, 1.6, 1.3]])
    value, error = fall_with_error(gold)
    assert value == 0.0
    assert 0.02 < error < 0.5
    assert fall_with_error(np.array([[0.0, 0.5, 1.0]] * 4)) == (0.0, 0.0)


def test_how_sure_the_best_beta_is() -> None:
    """One beta is far ahead, and then two are equal."""
    curves = planted.sweep(np.random.default_rng(2), seeds=6, truth={"a": planted.hump}, steps=3, spread=0.02)
    clear = curves.assign(gold=curves["gold"] + 3.0 * curves["beta"].eq(0.3) * (curves["step"] == 2))
    row = best(clear).iloc[0]
    assert (row["best_beta"], row["sure"], row["best_beta_low"], row["best_beta_high"]) == (0.3, 1.0, 0.3, 0.3)
    assert not row["at_the_end"]
    noise = np.random.default_rng(3).normal(0, 0.3, len(curves))
    level = curves.assign(gold=noise)
    assert best(level).iloc[0]["sure"] < 0.9
    edge = curves.assign(gold=curves["kl"])
    assert best(edge).iloc[0]["at_the_end"]
    assert math.isnan(best(curves[curves["seed"] == 0]).iloc[0]["sure"])


def test_a_loss_without_beta_has_no_best_one() -> None:
    curves = planted.sweep(np.random.default_rng(2), seeds=3, truth={"simper": planted.hump}, betas=(0.1,), steps=4)
    row = best(curves.assign(beta=np.nan)).iloc[0]
    assert math.isnan(row["best_beta"])
    assert row["peak_gold"] > 0


def test_intervals_end_where_what_they_are_of_ends() -> None:
    assert Estimate(value=-0.8, error=0.3, degrees_of_freedom=3, bounds=CORRELATION).interval()[0] == -1.0
    assert Estimate(value=0.02, error=0.3, degrees_of_freedom=3, bounds=NOT_BELOW_0).interval()[0] == 0.0
    assert math.isnan(Estimate(value=0.02, error=math.nan, bounds=NOT_BELOW_0).interval()[0])
    rows = pd.DataFrame({"loss": "a", "seed": [0, 1], "kl": [0.01, 0.4], "win_rate": [0.6, 0.99], "gold": [-1.0, 1.0]})
    table = over_seeds(rows, ["loss"], ["kl", "win_rate", "gold"]).iloc[0]
    assert table["kl_low"] == 0.0
    assert table["win_rate_high"] == 1.0
    assert table["gold_low"] < -5


def test_a_mean_counts_the_seeds_that_enter_it() -> None:
    rows = pd.DataFrame({"loss": "a", "gold": [1.0, 2.0, np.nan, np.nan]})
    two = over_seeds(rows.dropna(), ["loss"], ["gold"]).iloc[0]
    four = over_seeds(rows, ["loss"], ["gold"]).iloc[0]
    assert four["seeds"] == two["seeds"] == 2
    assert four["gold_low"] == two["gold_low"]


@pytest.mark.parametrize("rule", [above(0.1), below(0.1), within(0.2), outside(0.2)])
def test_a_p_value_is_the_level_at_which_a_verdict_turns(rule, rng: np.random.Generator) -> None:
    """Independent of how it is computed: intervals of level 1 - p, or 1 - 2p for equivalence, just touch the bound."""
    for _ in range(40):
        estimates = {
            str(i): Estimate(value=rng.normal(0, 0.3), error=rng.uniform(0.01, 0.2), degrees_of_freedom=5)
            for i in range(3)
        }
        found = judge(rule, Finding(estimates=estimates))
        assert (found.verdict != "undecided") == (found.p < 0.05)
        if found.verdict == "undecided" or not 1e-6 < found.p < 0.05:
            continue
        width = 2 if rule.level == 0.9 else 1
        for factor, stays in ((1.001, True), (0.999, False)):
            p = found.p * factor
            if found.verdict == "holds":
                inside = all(rule.holds_by(*each.interval(1 - width * p)) > 0 for each in estimates.values())
            else:
                inside = any(rule.fails_by(*each.interval(1 - width * p / 3)) > 0 for each in estimates.values())
            assert inside == stays


def test_holm_against_the_definition() -> None:
    """The smallest level at which Holm's procedure rejects each, by trying levels."""
    values = [0.01, 0.04, 0.03, 0.005, None, 0.8]
    found = holm(values)
    assert found[4] is None
    for level in np.linspace(0.001, 0.999, 500):
        ordered = sorted((p, i) for i, p in enumerate(values) if p is not None)
        rejected = set()
        for rank, (p, i) in enumerate(ordered):
            if p * (len(values) - rank) > level:
                break
            rejected.add(i)
        assert rejected == {i for i, p in enumerate(found) if p is not None and p <= level}
