"""Frontiers, peaks and falls on planted truth: tables made so that the right answer is known."""

import numpy as np
import pandas as pd
import pytest

from analysis import frontier, peaks, training_curves
from analysis.statistics.peaks import fall_with_error, falls
from analysis.statistics.tradeoff_curves import end_points, gold_at
from tests.helpers.planted_curves import planted


def test_the_frontier_is_the_planted_curve() -> None:
    table = frontier(planted())
    assert list(table.columns) == ["loss", "kl", "gold", "low", "high", "replicates", "seeds"]
    assert set(table["loss"]) == {"logistic", "hinge"}
    near = table[table["kl"] < 3.5]
    at_points = [0.0, 4 / 11, 2.0, 4 / 1.1]
    assert near["gold"].to_numpy() == pytest.approx((near["kl"] - near["kl"] ** 2 / 4).to_numpy(), abs=0.12)
    first = gold_at(
        pd.DataFrame({"kl": at_points[1:], "gold": [k - k**2 / 4 for k in at_points[1:]]}), np.array(at_points)
    )
    assert first == pytest.approx([k - k**2 / 4 for k in at_points])


def test_the_frontier_ends_where_the_first_replicate_ends() -> None:
    table = frontier(planted(losses=("hinge",)))
    assert table["kl"].max() <= 4 / 1.1
    assert table["kl"].max() > 0.95 * 4 / 1.1


def test_frontiers_by_another_setting() -> None:
    both = pd.concat([planted(pairs=64, hump=4.0), planted(pairs=256, hump=8.0)])
    table = frontier(both, by="pairs", pool="loss")
    assert set(table["pooled"]) == {"loss hinge, logistic"}
    at_two = table[(table["kl"] - 2.0).abs() < 0.03].groupby("pairs")["gold"].mean()
    assert at_two[256] - at_two[64] == pytest.approx(0.5, abs=0.1)
    assert set(table["replicates"]) == {8}
    with pytest.raises(ValueError, match="by = 'gold': must be a setting of the curves: method, loss"):
        frontier(both, by="gold")


def test_the_interpolation_never_overshoots() -> None:
    points = pd.DataFrame({"kl": [1.0, 1.1, 3.0, 3.0], "gold": [0.0, 1.0, 0.9, 1.1]})
    gold = gold_at(points, np.linspace(0, 3, 200))
    assert gold.max() <= 1.0
    assert gold.min() >= 0.0
    assert np.isnan(gold_at(points, np.array([3.01]))).all()


def test_peaks_and_falls_are_the_planted_ones() -> None:
    table = peaks(planted(losses=("logistic",))).set_index("beta")
    assert table["peak_step"].to_dict() == {0.1: 30, 1.0: 100, 10.0: 100}
    end = np.array([4 / 1.1 * (1 + 0.02 * seed) for seed in range(4)])
    top = 0.3 * end
    expected = (top - top**2 / 4 - (end - end**2 / 4)).mean()
    assert table.loc[0.1, "fall"] == pytest.approx(expected, abs=1e-9)
    assert table.loc[10.0, "fall"] == pytest.approx(0)
    assert table.loc[10.0, "peak_step"] == 100


def test_falls_are_unbiased_where_nothing_falls() -> None:
    """On flat noise, a peak picked and measured on the same seeds falls; a cross-fitted one does not."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(3000, 4, 10))
    fitted = np.array([falls(gold).mean() for gold in noise])
    naive = noise.mean(axis=1).max(axis=1) - noise.mean(axis=1)[:, -1]
    assert naive.mean() > 0.5
    assert abs(fitted.mean()) < 4 * fitted.std() / np.sqrt(len(fitted))


@pytest.mark.parametrize("kind", ["flat", "walk"])
def test_the_error_of_a_fall_is_not_too_small(kind: str) -> None:
    """Where nothing falls, an estimate two standard errors above 0 must be as rare as Student's t allows."""
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(2000, 4, 10))
    found = [fall_with_error(gold if kind == "flat" else gold.cumsum(axis=1)) for gold in noise]
    estimate, error = np.array(found).T
    assert estimate.std() < 1.1 * np.sqrt((error**2).mean())
    assert (estimate > 2 * error).mean() < 0.07


def test_one_seed_has_a_fall_without_error() -> None:
    estimate, error = fall_with_error(np.array([[0.0, 2.0, 0.5]]))
    assert estimate == 1.5
    assert np.isnan(error)
    assert peaks(planted(seeds=1))[["fall_se", "fall_low", "fall_high"]].isna().all().all()


def test_training_curves_leave_out_what_some_seed_did_not_reach() -> None:
    curves = planted(losses=("logistic",))
    gone = (curves["beta"] == 0.1) & (curves["seed"] == 0) & (curves["step"] > 3)
    curves.loc[gone, ["kl", "gold", "mu_squared"]] = np.nan
    curves = curves[~gone | (curves["step"] == 10)]
    curves.loc[gone & (curves["step"] == 10), "status"] = "diverged"
    means = training_curves(curves)
    assert means[means["beta"] == 0.1]["step"].max() == 3
    assert means[means["beta"] == 1.0]["step"].max() == 100
    assert end_points(curves).set_index("beta")["seeds"].to_dict() == {0.1: 3, 1.0: 4, 10.0: 4}


def test_peaks_are_those_of_the_seeds_that_came_through() -> None:
    curves = planted(losses=("logistic",), noise=0.3)
    lost = (curves["beta"] == 1.0) | ((curves["beta"] == 0.1) & (curves["seed"] == 0))
    gone = lost & (curves["step"] > 3)
    curves.loc[gone & (curves["step"] == 10), ["kl", "gold", "mu_squared", "status"]] = [np.nan] * 3 + ["diverged"]
    curves = curves[~gone | (curves["step"] == 10)]
    table = peaks(curves).set_index("beta")
    assert table["seeds"].to_dict() == {0.1: 3, 10.0: 4}
    kept = curves[(curves["beta"] == 0.1) & (curves["seed"] > 0)]
    assert table.loc[0.1, "end_gold"] == pytest.approx(kept.loc[kept["step"] == 100, "gold"].mean())
    assert table.loc[0.1, "end_kl"] == pytest.approx(end_points(curves).set_index("beta").loc[0.1, "kl"])


def test_no_run_that_came_through_is_an_empty_table() -> None:
    table = peaks(planted().assign(status="diverged"))
    assert table.empty
    assert {"loss", "fall", "fall_se", "fall_low"} <= set(table.columns)


def test_a_fall_of_noise_that_seeds_share_is_covered() -> None:
    """Flat gold, measured with noise that all seeds share: the interval of the fall holds 0."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(100):
        noise = rng.normal(scale=0.05, size=10)
        rows = [
            {"run_id": str(seed), "method": "gpo", "loss": "hinge", "beta": 1.0, "kappa": 0.0, "seed": seed, "pairs": 1}
            | {"step": step, "kl": step, "gold": noise[step] + rng.normal(scale=0.01), "gold_se": 0.05}
            | {"mu_squared": 0.0, "label_noise": 0.0, "status": "ok"}
            for seed in range(4)
            for step in range(10)
        ]
        row = peaks(pd.DataFrame(rows)).iloc[0]
        held += row["fall_low"] <= 0 <= row["fall_high"]
    assert held >= 95
