"""Fitted peaks over beta: against parabolas, against what a thousand sweeps scatter, and where there is none."""

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from analysis.figures.layout import shown_data
from analysis.figures.style import RC
from analysis.figures.theory.peaks_over_beta import FIGURE
from analysis.statistics.best_beta.fitted_peak import WINDOW, fit_peak, peaks_over_beta, vertices

X = np.log(0.01) + 0.5 * math.log(2) * np.arange(18)


def humps(peak: float, count: int, noise: float, rng: np.random.Generator) -> np.ndarray:
    return 1 - 0.1 * (X - peak) ** 2 + noise * rng.normal(size=(count, len(X)))


def test_the_peak_of_a_parabola_is_its_vertex() -> None:
    peak = X[8] + 0.123
    found = fit_peak(X, humps(peak, 4, 0.0, np.random.default_rng(0)))
    assert found.log_beta == pytest.approx(peak, abs=1e-9)
    assert found.height == pytest.approx(1.0, abs=1e-9)
    assert found.inside
    assert found.estimate.error == pytest.approx(0.0, abs=1e-9)


def test_the_fit_is_the_least_squares_parabola_within_the_window() -> None:
    """By the normal equations, for a curve that is no parabola."""
    curve = np.exp(-((X - X[9]) ** 2) / 6) + 0.02 * np.sin(5 * X)
    (at,), (height,) = vertices(X, curve[None])
    tops = [place for place in range(len(X)) if abs(X[place] - at) <= WINDOW]
    fits = []
    for place in tops:
        near = np.abs(X - X[place]) <= WINDOW * (1 + 1e-9)
        design = np.stack([np.ones(near.sum()), X[near], X[near] ** 2], axis=1)
        c, b, a = np.linalg.solve(design.T @ design, design.T @ curve[near])
        fits.append((-b / (2 * a), c - b**2 / (4 * a)))
    assert min(math.dist((at, height), fit) for fit in fits) < 1e-9


def test_the_error_is_what_further_sweeps_scatter() -> None:
    rng, seeds = np.random.default_rng(1), 10
    found = [fit_peak(X, humps(X[9], seeds, 0.2, rng)) for _ in range(150)]
    scatter = np.std([peak.log_beta for peak in found], ddof=1)
    assert np.mean([peak.estimate.error for peak in found]) == pytest.approx(scatter, rel=0.25)
    inside = [low <= X[9] <= high for low, high in (peak.estimate.interval() for peak in found)]
    assert np.mean(inside) > 0.9


def test_what_two_peaks_share_goes_from_their_difference() -> None:
    rng = np.random.default_rng(2)
    moved = 0.5 * rng.normal(size=8)
    both = [np.stack([1 - 0.1 * (X - X[8] - shift - each) ** 2 for each in moved]) for shift in (0.0, 0.4)]
    a, b = (fit_peak(X, values) for values in both)
    assert a.estimate.error > 0.1
    assert b.less(a).value == pytest.approx(0.4, abs=1e-6)
    assert b.less(a).error < 1e-6
    assert b.less(a, 0.1).value == pytest.approx(0.5, abs=1e-6)


def test_a_peak_at_an_end_is_not_inside_and_stays_on_the_ladder() -> None:
    for values, end in ((X, -1), (-X, 0)):
        found = fit_peak(X, np.tile(values, (3, 1)))
        assert not found.inside
        assert found.log_beta == pytest.approx(X[end])
    assert math.isnan(fit_peak(X, X[None] * 0 - (X - X[8]) ** 2).estimate.error)  # one seed
    with pytest.raises(ValueError, match="there are 4 betas, and a peak is fitted to 5 at least"):
        fit_peak(X[:4], np.zeros((2, 4)))


def ladders() -> pd.DataFrame:
    """Two losses whose gold and win rate peak at known places."""
    rng = np.random.default_rng(3)
    rows = [
        {
            "loss": loss,
            "beta": math.exp(x),
            "seed": seed,
            "step": step,
            "gold": step * value,
            "win_rate": 0.5 + value / 9,
        }
        | {"run_id": f"{loss}{x}{seed}", "status": "ok", "method": "gpo", "kl": 1.0}
        for loss, peak in (("logistic", X[6]), ("squared", X[10]))
        for seed, values in enumerate(humps(peak, 5, 0.01, rng))
        for x, value in zip(X, values, strict=True)
        for step in (0, 1)
    ]
    return pd.DataFrame(rows)


def test_peaks_of_curves_are_of_the_seeds_that_all_losses_have() -> None:
    curves = ladders()
    found = peaks_over_beta(curves[(curves["loss"] == "squared") | (curves["seed"] < 4)])
    assert {loss: peak.seeds for loss, peak in found.items()} == {"logistic": 4, "squared": 4}
    assert found["logistic"].log_beta == pytest.approx(X[6], abs=0.05)
    assert found["squared"].log_beta == pytest.approx(X[10], abs=0.05)
    few = curves[curves["beta"] < math.exp(X[3])]
    assert peaks_over_beta(few) == {}


def test_the_figure_shows_the_peaks_of_a_fine_ladder_alone() -> None:
    curves = ladders()
    assert FIGURE.applies(curves)
    assert not FIGURE.applies(curves[curves["beta"].isin(np.exp(X[::2]))])
    with mpl.rc_context(RC):
        figure = FIGURE.draw(curves)
    assert figure.title == "Gold peaks at β between 0.081 (logistic (DPO)) and 0.32 (squared (IPO))"
    assert "mean over 5 seeds" in figure.words
    data = shown_data(figure)
    peaks = data[data["line"] == "squared (IPO) (peak)"]
    assert len(peaks) == 2  # of gold and of the win rate
    assert np.log(peaks["x"]).to_numpy() == pytest.approx(X[10], abs=0.05)
    assert (peaks["low"] < peaks["x"]).all()
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == [
        r"gold [sd under $\pi_\mathrm{ref}$]",
        "win rate [probability]",
    ]
