"""Regret at equal KL against numbers computed by hand, and training against an ordinary sweep."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.interpolation import interpolate_each
from simulator import run_sweep
from simulator.instruments.search.family import KNOTS, Family
from simulator.instruments.search.fitness import (
    MOMENTS,
    SHARES,
    Point,
    gold_at_levels,
    levels_of,
    oracle_at,
    place_of,
    points_of_masses,
    points_of_runs,
    regret,
)
from simulator.instruments.search.written import NAME, rounded, write_found
from simulator.sweeps.grid import expand
from simulator.sweeps.sweep import Sweep
from tests.conftest import small_sweep

Array = np.ndarray


def runs_of(*seeds: int) -> Any:
    return [SimpleNamespace(seed=seed) for seed in seeds]


def test_gold_between_two_points_is_linear_in_the_root_of_kl() -> None:
    points = [Point(kl=4.0, gold=2.0), Point(kl=1.0, gold=1.0)]
    np.testing.assert_allclose(gold_at_levels(points, np.array([0.25, 1.0, 2.25, 4.0])), [0.5, 1.0, 1.5, 2.0])


def test_what_is_not_reached_has_the_gold_of_the_reference() -> None:
    points = [Point(kl=1.0, gold=1.0), Point(kl=np.nan, gold=9.0), Point(kl=9.0, gold=np.inf)]
    np.testing.assert_allclose(gold_at_levels(points, np.array([0.25, 1.1, 9.0])), [0.5, 0.0, 0.0])
    assert gold_at_levels([Point(kl=0.0, gold=0.0)], np.array([0.25])).tolist() == [0.0]


def test_it_is_the_interpolation_of_the_statistics(rng: np.random.Generator) -> None:
    kl, gold = 3 * rng.random(8), rng.normal(size=8)
    levels = np.linspace(0.01, 0.99 * kl.max(), 40)
    found = gold_at_levels([Point(kl=a, gold=b) for a, b in zip(kl, gold, strict=True)], levels)
    np.testing.assert_allclose(found, interpolate_each([(kl, gold)], levels)[0], rtol=1e-12)


def test_regret_is_the_mean_over_levels_draws_and_moments() -> None:
    """Oracle 3 at KL 1 and 4 at KL 4. Draw 0 has 1 and 2 there, then 2 and 3; draw 1 has 1 at KL 1, and goes no
    farther, then 1 and 0. So (2 + 2) + (1 + 1) and (2 + 4) + (2 + 4), over eight."""
    runs = runs_of(0, 1, 0, 1)
    first = [Point(kl=1, gold=1), Point(kl=1, gold=1), Point(kl=4, gold=2), Point(kl=0.5, gold=0.3)]
    then = [Point(kl=1, gold=2), Point(kl=1, gold=1), Point(kl=4, gold=3), Point(kl=4, gold=0)]
    found = regret([first, then], runs, np.array([1.0, 4.0]), np.array([3.0, 4.0]))
    assert found == pytest.approx((2 + 2 + 1 + 1 + 2 + 4 + 2 + 4) / 8)


def test_levels_are_shares_of_what_every_draw_reaches() -> None:
    far = [Point(kl=3, gold=1), Point(kl=2, gold=1), Point(kl=1, gold=1), Point(kl=0.5, gold=1)]
    near = [Point(kl=9, gold=1), Point(kl=1.5, gold=1), Point(kl=1, gold=1), Point(kl=0.5, gold=1)]
    runs = runs_of(0, 1, 0, 1)
    np.testing.assert_allclose(levels_of([([far], runs), ([far, near], runs)]), 1.5 * np.array(SHARES))


def sweep_of(losses: list[str]) -> Sweep:
    return small_sweep(sweep={"loss": losses, "beta": [0.1, 1.0], "seeds": [2, 5]}, train={"steps": 30})


@pytest.fixture(scope="module")
def sweep() -> Sweep:
    return sweep_of(["logistic", "hinge"])


def ends_in(folder: Path, sweep: Sweep) -> pd.DataFrame:
    run_sweep(sweep, out=folder, workers=1)
    curves = pd.read_parquet(folder / "curves.parquet")
    rows = curves[(curves["method"] == "gpo") & (curves["step"] == 30)]
    return rows.set_index(["loss", "beta", "seed"])[["kl", "gold"]].sort_index()


def test_known_losses_end_where_a_sweep_says(sweep: Sweep, tmp_path: Path) -> None:
    runs, known = expand(sweep), ends_in(tmp_path / "out", sweep)
    place = place_of(0, runs[:4])
    for number, paths in enumerate(points_of_runs(place, runs)):
        assert len(paths) == len(MOMENTS)
        for run, point in zip(runs[4 * number : 4 * number + 4], paths[-1], strict=True):
            expected = known.loc[(run.loss, run.beta, run.seed)]
            assert (point.kl, point.gold) == pytest.approx(tuple(expected), rel=1e-5)


def test_a_written_loss_ends_in_a_sweep_where_its_parameters_say(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    family = Family(convex=True)
    masses = family.masses(family.start + rng.normal(size=(2, len(KNOTS))))
    place = place_of(0, expand(sweep)[:4])
    found = points_of_masses(place, family, np.array([rounded(row) for row in masses]))
    write_found(tmp_path, masses[1], convex=True)
    monkeypatch.chdir(tmp_path)
    known = ends_in(tmp_path / "out", sweep_of([NAME]))
    for run, point in zip(place.runs, found[1][-1], strict=True):
        expected = known.loc[(NAME, run.beta, run.seed)]
        assert (point.kl, point.gold) == pytest.approx(tuple(expected), rel=1e-3, abs=1e-4)
    assert found[0][-1][0].kl != pytest.approx(found[1][-1][0].kl, rel=1e-3)


def test_nobody_has_less_regret_than_the_best_policies(sweep: Sweep) -> None:
    runs = expand(sweep)
    place = place_of(0, runs[:4])
    levels = levels_of([(points_of_runs(place, runs)[0], place.runs)])
    oracle = oracle_at(place, levels)
    assert (np.diff(oracle) > 0).all()
    best = [Point(kl=kl, gold=gold) for kl, gold in zip(levels, oracle, strict=True)]
    assert regret([best], runs_of(0, 0, 0, 0, 0), levels, oracle) == pytest.approx(0.0, abs=1e-12)
    assert all(regret(paths, place.runs, levels, oracle) > 0.01 for paths in points_of_runs(place, runs))
