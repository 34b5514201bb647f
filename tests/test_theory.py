"""Theory beside data: planted collapses, links by minimization, the mixture in closed form."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.special import expit
from scipy.stats import norm

from analysis import gradient_weights, kappa_collapse, load_beside, load_losses, margins_by_gap
from analysis.counterexample import CENTRE, descend, regularizers
from analysis.theory import LINKS, MARGIN_COLUMNS

KAPPA = {"logistic": 0.5, "squared": 1.0, "savage": 0.25}
F = {
    "logistic": lambda z: np.logaddexp(0, -z),
    "savage": lambda z: expit(-z) ** 2,
    "exponential": lambda z: np.exp(-z),
    "squared": lambda z: (z - 1) ** 2,
    "truncated_quadratic": lambda z: np.maximum(0, 1 - z) ** 2,
    "hinge": lambda z: np.maximum(0, 1 - z),
}


def ladder(power: float, *, noise: float, seeds: int = 6) -> pd.DataFrame:
    """Runs whose KL is a function of beta kappa^power, with gold that is best at one value of it."""
    rng = np.random.default_rng(0)
    rows = []
    for loss, kappa in KAPPA.items():
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
    assert found.kl_spread_beta == pytest.approx(0.7 * np.std(np.log(list(KAPPA.values())), ddof=1), abs=1e-6)
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
    with pytest.raises(ValueError, match="no range of beta kappa in common"):
        kappa_collapse(near)
    assert kappa_collapse(curves.assign(gold=curves["kl"])).at_the_end == tuple(KAPPA)
    with pytest.raises(ValueError, match="fewer than two betas"):
        kappa_collapse(curves[curves["beta"] == curves["beta"].min()])


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
    assert not margins_by_gap(curves, load_beside(results, "margins")).empty


def test_the_mixture_is_what_quadrature_says() -> None:
    def reference(x: float) -> float:
        return 0.5 * norm.pdf(x, -CENTRE, 1) + 0.5 * norm.pdf(x, CENTRE, 1)

    def ratio(x: float) -> float:
        return float(norm.logpdf(x, 1.0, 1.5) - np.log(reference(x)))

    kl = quad(lambda x: norm.pdf(x, 1.0, 1.5) * ratio(x), -14, 16)[0]
    mean = quad(lambda x: reference(x) * ratio(x), -16, 16, limit=200)[0]
    squared = quad(lambda x: reference(x) * (ratio(x) - mean) ** 2, -16, 16, limit=200)[0]
    assert regularizers(1.0, np.log(1.5)) == pytest.approx((squared, kl), rel=1e-6)


def test_the_squared_loss_falls_all_the_way_while_kl_rises() -> None:
    found = descend()
    assert (np.diff(found.path["squared"]) < 0).all()
    assert found.kl_gained > 0.4
    assert found.squared_lost > 25
    last = found.path.iloc[-1]
    mean, log_deviation = last["mean"], np.log(last["deviation"])
    assert last["squared"] < min(regularizers(mean + a, log_deviation + b)[0] for a in (-0.1, 0.1) for b in (-0.1, 0.1))
