"""Intervals over seeds: by hand, and as often right as they say."""

import numpy as np
import pandas as pd
import pytest

from analysis import frontier
from analysis.statistics.intervals import over_seeds
from tests.helpers.planted_curves import planted


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    repeats = 4000
    table = pd.DataFrame({"g": np.repeat(np.arange(repeats), 4), "x": rng.normal(3.0, 2.0, size=4 * repeats)})
    at = over_seeds(table, ["g"], ["x"])
    covered = ((at["x_low"] < 3.0) & (at["x_high"] > 3.0)).mean()
    assert covered == pytest.approx(0.95, abs=0.015)
    assert (at["seeds"] == 4).all()


def test_intervals_by_hand() -> None:
    at = over_seeds(pd.DataFrame({"g": ["a"] * 3, "x": [1.0, 2.0, 3.0]}), ["g"], ["x"]).iloc[0]
    assert at["x_se"] == pytest.approx(1 / np.sqrt(3))
    assert at["x_high"] - at["x"] == pytest.approx(4.302652730 / np.sqrt(3))


def test_one_seed_has_no_interval() -> None:
    at = over_seeds(pd.DataFrame({"g": ["a", "b"], "x": [1.0, 2.0]}), ["g"], ["x"])
    assert at[["x_low", "x_high", "x_se"]].isna().all().all()
    assert frontier(planted(seeds=1))[["low", "high"]].isna().all().all()


def test_noise_that_seeds_share_widens_their_interval() -> None:
    """Seeds that agree on a value that was measured with an error of 0.1 each do not know it any better."""
    table = pd.DataFrame({"beta": [1.0] * 4 + [2.0] * 4, "gold": [0.5] * 4 + [0.4, 0.5, 0.5, 0.6]})
    exact = over_seeds(table, ["beta"], ["gold"])
    assert (exact["gold_high"] - exact["gold_low"]).iloc[0] == pytest.approx(0)
    sampled = over_seeds(table.assign(gold_se=0.1), ["beta"], ["gold"])
    assert (sampled["gold_high"] - sampled["gold"]).iloc[0] == pytest.approx(1.95996 * 0.1, rel=1e-4)
    assert sampled["gold_se"].iloc[1] ** 2 == pytest.approx(exact["gold_se"].iloc[1] ** 2 + 0.01)


def test_intervals_cover_where_measurement_noise_is_shared_whole_or_not_at_all() -> None:
    rng = np.random.default_rng(3)
    for shared in (True, False):
        held = 0
        for _ in range(400):
            noise = rng.normal(scale=0.3, size=1 if shared else 5)
            table = pd.DataFrame({"beta": 1.0, "gold": rng.normal(scale=0.2, size=5) + noise, "gold_se": 0.3})
            row = over_seeds(table, ["beta"], ["gold"]).iloc[0]
            held += row["gold_low"] < 0 < row["gold_high"]
        assert held / 400 >= 0.93
