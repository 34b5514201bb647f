"""Scaling laws: planted coefficients, how often intervals hold them, peaks by calculus, and bad input."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

from analysis import fit_laws, fit_scaling_law, trends
from analysis.statistics.laws import FORMS, misfits

D = np.sqrt(np.linspace(0.05, 9.0, 25))
PLANTED = {"bon": (1.9, 0.6), "rl": (1.2, 0.8)}


def law(form: str, d: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    """The laws as the paper writes them."""
    return d * (alpha - beta * d) if form == "bon" else d * (alpha - beta * np.log(d))


@pytest.mark.parametrize("form", FORMS)
def test_exact_points_give_the_planted_law_back(form: str) -> None:
    alpha, beta = PLANTED[form]
    fit = fit_scaling_law(D, law(form, D, alpha, beta), form=form)
    assert (fit.alpha, fit.beta) == pytest.approx((alpha, beta))
    assert fit.rmse == pytest.approx(0.0, abs=1e-12)
    assert fit.rival_rmse > 0.01
    assert fit.predict(D) == pytest.approx(law(form, D, alpha, beta))


@pytest.mark.parametrize("form", FORMS)
def test_the_peak_is_where_the_law_is_largest(form: str) -> None:
    alpha, beta = PLANTED[form]
    fit = fit_scaling_law(D, law(form, D, alpha, beta), form=form)
    top = minimize_scalar(lambda d: -law(form, np.array(d), alpha, beta), bounds=(0.01, 20), method="bounded")
    assert fit.peak_d == pytest.approx(top.x, rel=1e-4)
    assert fit.peak_gold == pytest.approx(-top.fun, rel=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_intervals_hold_planted_coefficients_as_often_as_they_say(form: str) -> None:
    alpha, beta = PLANTED[form]
    top = alpha / (2 * beta) if form == "bon" else math.exp(alpha / beta - 1)
    height = float(law(form, np.array(top), alpha, beta))
    rng = np.random.default_rng(1)
    held = np.zeros(3)
    repeats = 400
    for _ in range(repeats):
        fit = fit_scaling_law(D, law(form, D, alpha, beta) + 0.1 * rng.normal(size=len(D)), form=form)
        intervals = (fit.alpha_interval, fit.beta_interval, fit.peak_gold_interval)
        held += [low < truth < high for (low, high), truth in zip(intervals, (alpha, beta, height), strict=True)]
    assert (held / repeats >= 0.92).all()
    assert (held / repeats <= 0.98).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seeds", [4, 8])
def test_intervals_over_seeds_hold_though_points_of_one_seed_err_together(
    form: str, seeds: int, rng: np.random.Generator
) -> None:
    alpha, beta = PLANTED[form]
    held = np.zeros(2)
    repeats = 400
    names = np.repeat(np.arange(seeds), len(D))
    d = np.tile(D, seeds)
    for _ in range(repeats):
        own = [(alpha, beta) + 0.2 * rng.normal(size=2) for _ in range(seeds)]
        r = np.concatenate([law(form, D, *pair) for pair in own]) + 0.05 * rng.normal(size=len(d))
        fit = fit_scaling_law(d, r, form, seeds=names)
        assert fit.seeds == seeds
        held += [fit.alpha_low < alpha < fit.alpha_high, fit.beta_low < beta < fit.beta_high]
    assert (held / repeats >= 0.92).all()
    assert (held / repeats <= 0.98).all()


@pytest.mark.parametrize("form", FORMS)
def test_noise_that_all_seeds_share_is_held_too(form: str, rng: np.random.Generator) -> None:
    alpha, beta = PLANTED[form]
    held = np.zeros(2)
    d, names = np.tile(D, 6), np.repeat(np.arange(6), len(D))
    for _ in range(200):
        shift = 0.2 * rng.normal()
        r = law(form, d, alpha, beta) + shift + 0.02 * rng.normal(size=len(d))
        without, fit = (fit_scaling_law(d, r, form, seeds=names, shared=shared) for shared in (None, 0.2))
        held += [without.alpha_low < alpha < without.alpha_high, fit.alpha_low < alpha < fit.alpha_high]
        assert fit.alpha == without.alpha
    assert held[0] / 200 < 0.5
    assert held[1] / 200 > 0.92


def test_weights_decide_between_points_that_disagree() -> None:
    d = np.concatenate([D, D])
    r = np.concatenate([law("bon", D, 2.0, 0.5), law("bon", D, 1.0, 0.1)])
    weights = np.repeat([1.0, 1e-9], len(D))
    fit = fit_scaling_law(d, r, "bon", weights=weights)
    assert (fit.alpha, fit.beta) == pytest.approx((2.0, 0.5), abs=1e-6)


def test_a_cut_fits_below_and_predicts_above() -> None:
    bent = np.where(D**2 < 4, law("bon", D, 2.0, 0.5), 0.0)
    fit = fit_scaling_law(D, bent, "bon", kl_below=4.0)
    assert (fit.alpha, fit.beta) == pytest.approx((2.0, 0.5))
    far = D**2 >= 4
    assert fit.points == (~far).sum()
    assert fit.beyond_rmse == pytest.approx(np.sqrt((law("bon", D[far], 2.0, 0.5) ** 2).mean()))
    assert math.isnan(fit_scaling_law(D, bent, "bon").beyond_rmse)


def test_a_law_that_rises_on_has_no_peak() -> None:
    fit = fit_scaling_law(D, law("bon", D, 1.0, -0.1), "bon")
    assert fit.peak_d == math.inf
    assert fit.peak_gold == math.inf


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], [1.0]), r"the law has 2 coefficients, but points at 1 different d > 0; give at least 2"),
        (([0.0, 1.0, 1.0], [0.0, 1.0, 1.1]), r"points at 1 different d"),
        (([], []), r"points at 0 different d"),
        (([1.0, 2.0], [1.0]), r"r has 1 values, but d has 2"),
        (([1.0, -2.0], [1.0, 1.0]), r"d \(=-2\) must be finite and at least 0"),
        (([1.0, 2.0], [1.0, math.nan]), r"r \(=nan\) must be finite"),
        (([1.0, 2.0], [1.0, 2.0], "cubic"), r"form = 'cubic': must be one of bon, rl"),
    ],
)
def test_what_cannot_be_fitted_is_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_scaling_law(*arguments)


def test_points_that_cannot_tell_two_coefficients_apart_are_refused() -> None:
    d = 1 + 1e-5 * np.arange(6)
    with pytest.raises(ValueError, match="too close to each other in d to tell two coefficients apart"):
        fit_scaling_law(d, d, "bon")


def test_a_cut_that_leaves_too_little_says_so() -> None:
    with pytest.raises(ValueError, match=r"different d > 0 and KL below 0\.01; give at least 2"):
        fit_scaling_law(D, D, "bon", kl_below=0.01)


def test_one_seed_has_no_interval_and_two_points_none_either() -> None:
    assert math.isnan(fit_scaling_law(D, D, "rl", seeds=np.zeros(len(D))).alpha_low)
    assert math.isnan(fit_scaling_law([1.0, 2.0], [1.0, 1.0], "bon").alpha_low)


def planted_paths(rng: np.random.Generator) -> pd.DataFrame:
    """Best-of-n curves whose alpha rises by 0.3 and whose beta falls by 0.1 for each factor of ten in parameters."""
    rows = []
    for seed in range(5):
        for power in (2, 3, 4, 5):
            alpha, beta = 1.0 + 0.3 * power + 0.02 * rng.normal(), 0.9 - 0.1 * power + 0.005 * rng.normal()
            for n, kl in enumerate(np.linspace(0.0, 6.0, 12), start=1):
                gold = law("bon", np.sqrt(kl), alpha, beta) if kl else 0.0
                rows.append({"run_id": f"{power}-{seed}", "method": "best_of_n", "seed": seed, "step": n, "kl": kl})
                rows[-1] |= {"loss": None, "beta": math.nan, "gold": gold, "proxy_parameters": 10.0**power}
                rows[-1] |= {"proxy_width": 2**power, "status": "ok"}
    return pd.DataFrame(rows)


def test_laws_of_a_sweep_and_how_they_change_with_size(rng: np.random.Generator) -> None:
    curves = planted_paths(rng)
    laws = fit_laws(curves)
    assert len(laws) == 4
    assert (laws["form"] == "bon").all()
    assert laws["law_alpha"].to_numpy() == pytest.approx(1.0 + 0.3 * np.arange(2, 6), abs=0.05)
    assert ((laws["law_beta_low"] < laws["law_beta"]) & (laws["law_beta"] < laws["law_beta_high"])).all()
    slopes = trends(curves, "proxy_parameters").set_index("coefficient")
    for name, truth in (("law_alpha", 0.3), ("law_beta", -0.1)):
        assert slopes.loc[name, "slope"] == pytest.approx(truth, abs=0.02)
        assert slopes.loc[name, "slope_low"] < slopes.loc[name, "slope"] < slopes.loc[name, "slope_high"]
        assert slopes.loc[name, "seeds"] == 5
    assert trends(curves[curves["proxy_parameters"] == 100], "proxy_parameters").empty


def test_misfits_are_those_of_the_fitted_laws() -> None:
    d = np.linspace(0.0, 3.0, 12)
    r = d * (2 - 0.5 * d) + 0.1 * np.sin(9 * d)
    found = misfits(d, r)
    for form, rival in (("bon", "rl"), ("rl", "bon")):
        law = fit_scaling_law(d, r, form=form)
        assert found[form] == pytest.approx(law.rmse)
        assert found[rival] == pytest.approx(law.rival_rmse)
    with pytest.raises(ValueError, match="fewer than two different d"):
        misfits([0.0, 1.0], [0.0, 1.0])
