"""Frontiers and what they are worth, against planted truth: coverage, regret, peaks, fronts."""

import numpy as np
import pandas as pd
import pytest

from analysis import frontier, pareto_front, tradeoffs
from analysis.statistics.interpolation import interpolate_each
from analysis.statistics.intervals import Estimate, mean_of, resamples, spread_of
from analysis.statistics.tradeoffs import oracle_at, undominated
from tests.helpers import synthetic_curves as planted
from tests.helpers.synthetic_curves import hump

SWEEPS = {True: 200, False: 70}  # planted, in the long form and in the suite


@pytest.mark.slow(but="6-0.1-1.0")
@pytest.mark.parametrize(("seeds", "noise", "shared"), [(4, 0.0, 0.0), (8, 0.0, 0.0), (6, 0.1, 1.0)])
def test_intervals_of_the_frontier_cover_the_truth(seeds: int, noise: float, shared: float, long: bool) -> None:
    rng = np.random.default_rng(seeds)
    hits = []
    for _ in range(SWEEPS[long]):
        curves = planted.sweep(rng, seeds=seeds, truth={"logistic": hump}, noise=noise, shared=shared, steps=2)
        table = frontier(curves)
        table = table[(table["kl"] > 0.3) & (table["kl"] < 4.2)]
        hits.append(((table["low"] <= hump(table["kl"])) & (hump(table["kl"]) <= table["high"])).mean())
    least, most = (0.92, 0.98) if long else (0.89, 0.99)
    assert least <= np.mean(hits) <= most


def test_points_that_are_one_but_for_rounding_are_one() -> None:
    """The end of best-of-n in a small world, where roots of KL are equal and KL is not."""
    kl = np.concatenate([[0.5, 1.0], 3.0 + np.spacing(3.0) * np.arange(5)])
    assert len(set(kl)) > len(set(np.sqrt(kl)))
    gold, at = np.array([0.3, 0.2, *[0.1] * 5]), np.array([0.0, 0.7, 2.0, 3.0])
    every, first = interpolate_each([(kl, gold), (kl[:3], gold[:3])], at)
    assert every == pytest.approx(first, abs=1e-12)
    rows = pd.DataFrame({"kl": kl, "gold": np.sort(gold), "beta": range(7), "method": "oracle", "status": "ok"})
    assert np.isfinite(oracle_at(rows.assign(run_id="oracle", step=0), np.array([0.2, 2.9, 5.0]))).all()


@pytest.mark.slow
def test_numbers_of_a_tradeoff_cover_the_truth(long: bool) -> None:
    rng = np.random.default_rng(5)
    oracle = planted.oracle([0, 1, 2, 4, 8], [0, 2, 2.5, 2.8, 2.9])
    kl = np.linspace(0, 4.5, 301)
    gap = oracle_at(oracle, kl) - hump(kl)
    truth = {
        "regret": np.trapezoid(gap, kl),
        "gap": gap.max(),
        "peak_gold": 1.125,
        "fall": 1.125 - float(hump(np.array(4.5))),
    }
    rows = []
    for _ in range(SWEEPS[long]):
        curves = planted.sweep(rng, seeds=6, truth={"logistic": hump}, steps=2)
        rows.append(tradeoffs(pd.concat([oracle, curves], ignore_index=True), upto=4.5).iloc[0])
    table = pd.DataFrame(rows)
    table = table[table["reach"] >= 4.5]
    assert len(table) > 0.85 * SWEEPS[long]
    for name, value in truth.items():
        covered = (table[f"{name}_low"] <= value) & (value <= table[f"{name}_high"])
        assert (0.9 if long else 0.86) <= covered.mean() <= 0.99, name
        assert table[name].mean() == pytest.approx(value, abs=0.05), name


def test_numbers_of_an_exact_tradeoff_are_those_of_the_curve() -> None:
    rng = np.random.default_rng(0)
    betas = tuple(np.geomspace(0.001, 100, 60))
    curves = planted.sweep(rng, seeds=2, truth={"logistic": hump}, betas=betas, spread=0.0, steps=2)
    row = tradeoffs(curves).iloc[0]
    assert row["peak_gold"] == pytest.approx(1.125, abs=1e-2)
    assert row["peak_kl"] == pytest.approx(2.25, abs=0.15)
    assert row["price"] == pytest.approx(2.0, abs=0.15)
    assert row["fall"] == pytest.approx(1.125 - float(hump(np.array(row["reach"]))), abs=1e-2)
    assert row[["regret", "gap", "gap_kl"]].isna().all()  # no oracle


def test_one_seed_has_no_interval() -> None:
    curves = planted.sweep(np.random.default_rng(0), seeds=1, truth={"logistic": hump}, steps=3)
    assert frontier(curves)[["low", "high"]].isna().all(axis=None)
    assert tradeoffs(curves)[["peak_gold_low", "fall_high"]].isna().all(axis=None)
    assert pareto_front(curves)["share"].isna().all()


def test_the_same_numbers_come_out_every_time_and_others_with_another_generator() -> None:
    curves = planted.sweep(np.random.default_rng(0), seeds=4, truth={"logistic": hump}, steps=3)
    pd.testing.assert_frame_equal(frontier(curves), frontier(curves))
    other = frontier(curves, rng=np.random.default_rng(1))
    assert (frontier(curves)["high"] != other["high"]).any()


def test_along_training_each_beta_has_its_curve() -> None:
    curves = planted.sweep(np.random.default_rng(0), seeds=3, truth={"logistic": hump}, spread=0.0, steps=40)
    table = frontier(curves, along="training")
    assert set(table["beta"]) == set(planted.BETAS)
    weakest = table[(table["beta"] == min(planted.BETAS)) & (table["kl"] > 0.2)]
    np.testing.assert_allclose(weakest["gold"], hump(weakest["kl"].to_numpy()), atol=0.01)
    with pytest.raises(ValueError, match="along = 'time': must be one of beta, training"):
        frontier(curves, along="time")


def test_draws_of_one_seed_are_resampled_together() -> None:
    """Two settings of the same seeds are no more draws than one of them; two worlds are."""
    rng = np.random.default_rng(3)
    one = planted.sweep(rng, seeds=4, truth={"logistic": hump}, steps=2)
    twice = pd.concat([one.assign(label_noise=0.0), one.assign(label_noise=0.25, run_id=one["run_id"] + "n")])
    alone, both = frontier(one), frontier(twice, pool="label_noise")
    assert set(both["pooled"]) == {"label_noise 0, 0.25"}
    assert both["replicates"].iloc[0] == 8
    assert both["seeds"].iloc[0] == 4
    np.testing.assert_allclose(both["high"], alone["high"])
    worlds = pd.concat([one.assign(world_seed=0), one.assign(world_seed=1, run_id=one["run_id"] + "w")])
    assert frontier(worlds, pool="world_seed")["seeds"].iloc[0] == 8
    assert set(frontier(worlds)["seeds"]) == {4}


def test_the_front_is_what_brute_force_finds() -> None:
    rng = np.random.default_rng(1)
    kl, gold = rng.integers(0, 12, size=(2, 60)).astype(float)
    found = undominated(kl, gold)
    for i in range(60):
        better = (kl <= kl[i]) & (gold >= gold[i]) & ((kl < kl[i]) | (gold > gold[i]))
        first = not any(kl[j] == kl[i] and gold[j] == gold[i] for j in range(i))
        assert found[i] == (not better.any() and first)


def test_the_front_of_a_sweep_rises_and_is_sure_of_what_is_far_ahead() -> None:
    truth = {"logistic": hump, "hinge": lambda kl: hump(kl) - 3.0 * (kl > 0)}
    curves = planted.sweep(np.random.default_rng(2), seeds=5, truth=truth, spread=0.02)
    table = pareto_front(curves)
    assert (table.loc[table["kl"] == 0, "share"] == 1).all()
    front = table[table["overall"]].sort_values("kl")
    assert front["gold"].is_monotonic_increasing
    assert set(front.loc[front["kl"] > 0, "loss"]) == {"logistic"}
    assert (table.loc[table["loss"].eq("hinge") & (table["kl"] > 0.01), "share"] == 0).all()
    assert table.groupby("loss")["front"].sum().min() > 1


def test_checkpoints_of_a_seed_move_together_on_the_front() -> None:
    """Gold rises along every seed, so that every checkpoint is on the front, however the seeds are resampled."""
    rows = [("logistic", 0.1, seed, step, step**2, (1 + seed) * step) for seed in range(4) for step in range(6)]
    curves = pd.DataFrame(rows, columns=["loss", "beta", "seed", "step", "kl", "gold"])
    curves = curves.assign(run_id=curves["seed"].map(str), method="gpo", kappa=0.5, status="ok")
    assert (pareto_front(curves)["share"] == 1).all()


def test_curves_without_a_loss_are_refused_with_what_to_take() -> None:
    curves = planted.sweep(np.random.default_rng(0), seeds=2, truth={"x": hump}, steps=3).assign(
        loss=None, method="best_of_n"
    )
    with pytest.raises(ValueError, match='the curves of best_of_n have none; take by = "method"'):
        frontier(curves)
    assert not frontier(curves, by="method").empty
    with pytest.raises(ValueError, match="upto"):
        tradeoffs(curves, by="method", upto=0.0)


def test_the_bootstrap_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(4).normal(size=7)
    drawn = resamples(7, np.random.default_rng(0)) @ values
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.02)
    assert float(spread_of(drawn, 7)) == pytest.approx(mean_of(values).error, rel=0.05)
    assert mean_of(values).degrees_of_freedom == 6
    assert np.isnan(spread_of(resamples(1) @ values[:1], 1))


def test_an_estimate_adds_what_is_shared() -> None:
    alone, shared = (
        Estimate(value=1.0, error=0.5, degrees_of_freedom=9),
        Estimate(value=1.0, error=0.5, degrees_of_freedom=9, shared_error=0.5),
    )
    assert shared.interval()[1] > alone.interval()[1]
    assert Estimate(value=2.0).interval() == (2.0, 2.0)
    assert not Estimate(value=2.0, error=np.nan).known
    assert alone.interval(0.9)[1] < alone.interval(0.95)[1]


def test_frontiers_of_another_column_are_those_of_gold_with_these_values() -> None:
    curves = planted.sweep(np.random.default_rng(0), seeds=3, truth={"logistic": hump}, noise=0.0, steps=2)
    lower = curves.assign(gold_equal_length=curves["gold"] / 2, gold=np.float64(7.0))
    found, plain = frontier(lower, value="gold_equal_length"), frontier(curves)
    assert list(found) == [name if name != "gold" else "gold_equal_length" for name in plain]
    assert found["gold_equal_length"].to_numpy() == pytest.approx(plain["gold"].to_numpy() / 2, abs=1e-9)
    with pytest.raises(ValueError, match="the curves have none"):
        frontier(curves, value="gold_equal_length")
    with pytest.raises(ValueError, match="must be one of gold, gold_equal_length"):
        frontier(curves, value="win_rate")
