"""The round trip: TRL's own trainer on our exported pairs gives the policies that ours gives, on the same full batches.

With all pairs in each batch nothing is left to chance but rounding, so KL and gold agree far below the spread over
seeds; `python -m benchmarks.round_trip` has the same with batches that each trainer draws for itself.
"""

from pathlib import Path

import pytest

import analysis
from benchmarks.round_trip.__main__ import distances, label, round_trip
from benchmarks.round_trip.by_trl import LOSSES, beta_there, in_silence
from tests.conftest import small_sweep

BETAS = (0.1, 0.5, 2.0)


@pytest.mark.slow
def test_trl_trains_to_the_policies_that_we_train_to(tmp_path: Path) -> None:
    full_batch = {"steps": 40, "batch": 48, "clip": 0.0, "checkpoints": 3, "learning_rate": 0.003}
    grid = {"loss": list(LOSSES), "beta": list(BETAS), "seeds": 2}
    with in_silence():
        round_trip(tmp_path, small_sweep(train=full_batch, sweep=grid))
    curves = analysis.load(tmp_path / "sweep")
    table = distances(curves)
    assert len(table) == len(LOSSES) * len(BETAS)
    assert (table["seeds"] == 2).all()
    for name in ("kl", "gold"):
        assert (table[f"{name}_difference"].abs() < 0.02 * table[f"{name}_spread"] + 1e-3).all(), table
    assert (table["kl_ours"] > 0.01).all()
    frontier = analysis.frontier(curves, by="loss")
    assert {label(loss) for loss in LOSSES} < set(frontier["loss"])


def test_conventions_of_beta() -> None:
    """(z - 1)^2 at z = beta rho is (2 tau / T)^2 (rho / T ... )^2 up to a constant: rho / T - 1 / (2 tau)."""
    rho, tokens, beta = 1.7, 4, 0.3
    tau = beta_there("squared", beta, tokens)
    theirs = (rho / tokens - 1 / (2 * tau)) ** 2
    assert (beta * rho - 1) ** 2 == pytest.approx(theirs * (beta * tokens) ** 2)
    assert beta_there("logistic", beta, tokens) == beta
