"""Theory beside data: planted collapses, links by minimization, the mixture in closed form."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.special import expit
from scipy.stats import norm

from analysis import gradient_weights, kappa_collapse, load_losses, load_table, margins_by_gap
from analysis.theory.gaussians import CENTRE, descend, regularizers, weights_of
from analysis.theory.kappa_collapse import assignments, each_spread
from analysis.theory.population_links import LINKS, MARGIN_COLUMNS

KAPPA = {"logistic": 0.5, "squared": 1.0, "savage": 0.25}
F = {
    "logistic": lambda z: np.logaddexp(0, -z),
    "savage": lambda z: expit(-z) ** 2,
    "exponential": lambda z: np.exp(-z),
    "squared": lambda z: (z - 1) ** 2,
    "truncated_quadratic": lambda z: np.maximum(0, 1 - z) ** 2,
    "hinge": lambda z: np.maximum(0, 1 - z),
}


def ladder(power: float, *, noise: float, seeds: int = 6, kappas: dict[str, float] = KAPPA) -> pd.DataFrame:
    """Runs whose KL is a function of beta kappa^power, with gold that is best at one value of it."""
    rng = np.random.default_rng(0)
    rows = []
    for loss, kappa in kappas.items():
        for beta in np.geomspace(0.01, 10, 9):
            for seed in range(seeds):
                x = np.log(beta * kappa**power)
                kl = np.exp(1 - 0.7 * x + rng.normal(0, noise))
                gold = 1 - (x + 1) ** 2 / 8 + rng.normal(0, noise / 5)
                rows.append((loss, kappa, beta, seed, kl, gold))
    table = pd.DataFrame(rows, columns=["loss", "kappa", "beta", "seed", "kl", "gold"])
    run_id = table["loss"] + table["beta"].map(str) + "-" + table["seed"].map(str)
    return table.assign(run_id=run_id, method="gpo", status="ok", step=1)


def test_kappa_removes_all_of_a_spread_that_is_its_own() -> None:
    found = kappa_collapse(ladder(1.0, noise=0.0))
    assert found.kl_removed.value == pytest.approx(1.0, abs=1e-6)
    assert found.kl.before == pytest.approx(0.7 * np.std(np.log(list(KAPPA.values())), ddof=1), abs=1e-6)
    assert found.best_removed.value == pytest.approx(1.0, abs=1e-6)
    for loss, kappa in KAPPA.items():
        assert np.log(found.best_beta[loss] * kappa) == pytest.approx(-1.0, abs=1e-6)


def test_kappa_adds_to_a_spread_that_is_against_it_and_removes_none_of_none() -> None:
    against = kappa_collapse(ladder(-1.0, noise=0.02))
    assert against.kl_removed.interval()[1] < 0
    assert against.kl_removed.value == pytest.approx(-1.0, abs=0.1)  # twice the spread
    assert kappa_collapse(ladder(0.0, noise=0.0)).kl_removed.value == 0.0


def test_the_interval_of_the_share_holds_the_truth_and_one_seed_has_none() -> None:
    low, high = kappa_collapse(ladder(0.5, noise=0.05)).kl_removed.interval()
    assert low < 0.0 + 0.02
    assert high > 0.0 - 0.02  # half of the spread before, half of it after on the other side
    assert not kappa_collapse(ladder(1.0, noise=0.05, seeds=1)).kl_removed.known


def test_losses_that_cannot_be_aligned_are_refused() -> None:
    curves = ladder(1.0, noise=0.0)
    with pytest.raises(ValueError, match="no two losses whose kappa differ"):
        kappa_collapse(curves[curves["loss"] == "logistic"])
    near = curves.assign(beta=1.0 + 0.1 * (curves["beta"] > 1)).drop_duplicates(["loss", "beta", "seed"])
    with pytest.raises(ValueError, match="ranges of beta and of beta kappa have nothing in common"):
        kappa_collapse(near)
    assert kappa_collapse(curves.assign(gold=curves["kl"])).at_sweep_edge == tuple(KAPPA)
    with pytest.raises(ValueError, match="fewer than two betas"):
        kappa_collapse(curves[curves["beta"] == curves["beta"].min()])


FAMILIES = KAPPA | {"exponential": 1.0, "truncated_quadratic": 1.0, "a": 0.2, "b": 0.4, "c": 1.25}


def test_kappa_that_plays_no_part_is_not_found() -> None:
    """KL is the same function of beta for all losses; those of kappa 1 depart at the largest beta, and only there."""
    for kappas in (
        {"logistic": 0.5, "savage": 0.5, "squared": 1.0, "exponential": 1.0, "truncated_quadratic": 1.0},
        FAMILIES,
    ):
        curves = ladder(0.0, noise=0.03, kappas=kappas, seeds=8)
        far = curves["beta"].eq(curves["beta"].max()) & curves["kappa"].eq(1.0)
        curves.loc[far, "kl"] *= 8.0
        found = kappa_collapse(curves)
        assert found.kl.removed.interval()[1] < 0
        assert found.kl.excess.interval()[0] < 0
        assert found.low >= 0.01
        assert found.high <= 10 * min(1.0, *kappas.values()) * (1 + 1e-9)


def test_kappa_is_told_from_kappa_given_to_other_losses() -> None:
    true = kappa_collapse(ladder(1.0, noise=0.05, kappas=FAMILIES))
    assert true.assignments == 8 * 7 * 6 * 5 * 4 * 3 * 2 // 6  # three losses share a kappa of 1
    assert true.kl.p == pytest.approx(1 / true.assignments)
    assert true.kl.excess.interval()[0] > 0
    curves = ladder(1.0, noise=0.05, kappas=FAMILIES)
    swapped = dict(zip(FAMILIES, reversed(FAMILIES.values()), strict=True))
    wrong = kappa_collapse(curves.assign(kappa=curves["loss"].map(swapped)))
    assert wrong.kl.excess.interval()[1] < 0
    assert wrong.kl.p > 0.05


def test_few_kappa_cannot_be_tested_and_say_so() -> None:
    found = kappa_collapse(ladder(1.0, noise=0.05))
    assert found.assignments == 6
    assert found.too_few_reason.startswith(
        "there are 6 ways to give these kappa to these losses, and a test at 5 % needs 20: add"
    )
    assert not kappa_collapse(ladder(1.0, noise=0.05, kappas=FAMILIES)).too_few_reason


def test_assignments_are_all_different_orders() -> None:
    true = np.array([0, 0, 1, 2, 2])
    found = assignments(true)
    assert {tuple(row) for row in found} == set(itertools.permutations(true.tolist()))
    assert len(found) == 30
    many = assignments(np.arange(10))
    assert len(many) == 50_000
    assert (many[0] == np.arange(10)).all()
    assert (np.sort(many, axis=1) == np.arange(10)).all()


def test_the_spread_of_an_assignment_is_that_of_curves_moved_by_it(rng: np.random.Generator) -> None:
    x, kappas = np.log(np.geomspace(0.01, 10, 9)), np.log([0.5, 1.0])
    curves, grid = rng.normal(size=(3, 9)), np.linspace(-3, 1, 21)
    moved = np.array([[np.interp(grid, x + shift, curve) for shift in kappas] for curve in curves])
    given = np.array([[0, 1, 1], [1, 0, 1]])
    by_hand = [
        np.std([np.interp(grid, x + kappas[k], c) for c, k in zip(curves, row, strict=True)], axis=0, ddof=1).mean()
        for row in given
    ]
    assert each_spread(moved, given) == pytest.approx(by_hand)


@pytest.mark.parametrize("loss", list(LINKS))
def test_links_minimize_the_expected_loss(loss: str) -> None:
    for gap in (0.3, 1.0, 2.5):
        p = expit(gap)
        found = minimize_scalar(lambda z, p=p: p * F[loss](z) + (1 - p) * F[loss](-z), bounds=(-4, 4), method="bounded")
        assert float(LINKS[loss](np.array(gap))) == pytest.approx(found.x, abs=2e-3)
        assert float(LINKS[loss](np.array(-gap))) == pytest.approx(-float(LINKS[loss](np.array(gap))))


def test_margins_stand_beside_the_link_of_their_loss() -> None:
    runs = ladder(1.0, noise=0.0, seeds=3).query("beta == 0.01 or beta == 10")
    rows = [
        (run, gap, gap / beta) for run, beta in zip(runs["run_id"], runs["beta"], strict=True) for gap in (0.5, 2.0)
    ]
    margins = pd.DataFrame(rows, columns=["run_id", "gap", "margin"]).assign(pairs=9)
    table = margins_by_gap(runs, margins, temperature=2.0)
    np.testing.assert_allclose(table["z"], 2 * table["gap"])
    assert set(table["gap"]) == {0.25, 1.0}
    logistic = table[table["loss"] == "logistic"]
    np.testing.assert_allclose(logistic["link"], logistic["gap"])
    assert (table["seeds"] == 3).all()


def test_weights_are_those_of_the_margins_that_were_seen(results, curves: pd.DataFrame) -> None:
    table = gradient_weights(curves, load_losses(results))
    assert set(table["loss"]) == set(F)
    row = table[(table["loss"] == "logistic") & (table["beta"] == 0.5) & (table["quantile"] == 0.5)].iloc[0]
    last = curves[(curves["loss"] == "logistic") & (curves["beta"] == 0.5) & (curves["step"] == 40)]
    z = 0.5 * last[MARGIN_COLUMNS[2]]
    assert row["z"] == pytest.approx(z.mean())
    assert row["weight"] == pytest.approx((expit(-z) / 0.5).mean(), abs=1e-3)
    assert not margins_by_gap(curves, load_table(results, "margins")).empty


def test_the_mixture_is_what_quadrature_says() -> None:
    def reference(x: float) -> float:
        return 0.5 * norm.pdf(x, -CENTRE, 1) + 0.5 * norm.pdf(x, CENTRE, 1)

    def ratio(x: float) -> float:
        return float(norm.logpdf(x, 1.0, 1.5) - np.log(reference(x)))

    kl = quad(lambda x: norm.pdf(x, 1.0, 1.5) * ratio(x), -14, 16)[0]
    mean = quad(lambda x: reference(x) * ratio(x), -16, 16, limit=200)[0]
    squared = quad(lambda x: reference(x) * (ratio(x) - mean) ** 2, -16, 16, limit=200)[0]
    assert regularizers(1.0, np.log(1.5)) == pytest.approx((squared, kl), rel=1e-6)


@pytest.mark.parametrize(("mean", "deviation"), [(2.4, 1.1), (1.0, 4.9), (0.3, 7.4), (0.0, 20.0)])
def test_kl_of_a_wide_policy_has_all_of_its_mass(mean: float, deviation: float) -> None:
    """Independent truth: the entropy of a Gaussian in closed form, and adaptive quadrature for the rest."""

    def surprise(x: float) -> float:
        log_reference = np.logaddexp(norm.logpdf(x, -CENTRE), norm.logpdf(x, CENTRE)) - np.log(2)
        return -float(norm.pdf(x, mean, deviation) * log_reference)

    ends = mean - 15 * deviation, mean + 15 * deviation
    rest = quad(surprise, *ends, points=(-CENTRE, 0.0, CENTRE), limit=400, epsabs=1e-11)[0]
    kl = rest - 0.5 * np.log(2 * np.pi * np.e * deviation**2)
    assert regularizers(mean, np.log(deviation))[1] == pytest.approx(kl, rel=1e-7)
    grid = np.linspace(-16, 16, 2001)
    if deviation > 4:
        with pytest.raises(ArithmeticError, match=r"the grid holds a mass of 0\.\d+ of a law"):
            weights_of(norm.logpdf(grid, mean, deviation), grid)


def test_the_squared_loss_falls_all_the_way_while_kl_rises() -> None:
    found = descend()
    assert found.path["kl"].max() == pytest.approx(15.1024, abs=1e-4)
    assert found.path["kl"].iloc[30] == pytest.approx(5.3035, abs=1e-4)
    assert found.path["kl"].iloc[-1] == pytest.approx(1.14019, abs=1e-5)
    assert found.path["deviation"].max() == pytest.approx(7.404, abs=1e-3)
    assert (np.diff(found.path["squared"]) < 0).all()
    assert found.kl_gained > 0.4
    assert found.squared_lost > 25
    last = found.path.iloc[-1]
    mean, log_deviation = last["mean"], np.log(last["deviation"])
    assert last["squared"] < min(regularizers(mean + a, log_deviation + b)[0] for a in (-0.1, 0.1) for b in (-0.1, 0.1))
