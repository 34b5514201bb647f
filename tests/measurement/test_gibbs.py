"""No policy has more gold at its KL than the Gibbs policies."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax

from simulator.measurement.gibbs import gibbs, oracle_rows
from simulator.measurement.ladder import TEMPERATURES
from simulator.worlds.protocol import World


def test_gibbs_is_what_an_optimizer_finds(rng: np.random.Generator) -> None:
    reference, reward, temperature = log_softmax(rng.normal(size=6)), rng.normal(size=6), 0.4

    def cost(logits: np.ndarray) -> float:
        log_probs = log_softmax(logits)
        return -np.exp(log_probs) @ (reward - temperature * (log_probs - reference))

    best = minimize(cost, np.zeros(6), method="BFGS", options={"gtol": 1e-9})
    closed = gibbs(torch.from_numpy(reference)[None], torch.from_numpy(reward)[None], torch.tensor([temperature]))
    assert closed[0, 0].numpy() == pytest.approx(log_softmax(best.x), abs=1e-5)


def test_the_frontier_rises_and_is_concave(world: World) -> None:
    rows = oracle_rows(world.reference_law, "w")
    kl, gold = rows["kl"].to_numpy(), rows["gold"].to_numpy()
    assert (np.diff(kl) > 0).all()
    assert (np.diff(gold) > 0).all()
    slope = np.diff(gold) / np.diff(kl)
    assert (np.diff(slope) < 1e-9).all()
    temperature = np.sqrt(TEMPERATURES[1:] * TEMPERATURES[:-1])  # gold's price in KL is the temperature
    assert slope == pytest.approx(temperature, rel=0.02)


def oracle_gold(curves: pd.DataFrame, kl: pd.Series) -> np.ndarray:
    """An upper bound on the oracle's gold at `kl`: the tangents of its concave frontier."""
    oracle = curves[curves["method"] == "oracle"]
    tangents = oracle["gold"].to_numpy() + oracle["beta"].to_numpy() * (
        kl.to_numpy()[:, None] - oracle["kl"].to_numpy()
    )
    return tangents.min(axis=1)


def test_the_oracle_beats_every_trained_run_at_its_kl(curves: pd.DataFrame) -> None:
    trained = curves[(curves["method"] == "gpo") & (curves["step"] > 0)]
    room = oracle_gold(curves, trained["kl"]) - trained["gold"].to_numpy()
    assert room.min() > 0
    assert len(trained) > 200


def test_the_bound_is_tight_for_gibbs_policies(curves: pd.DataFrame) -> None:
    oracle = curves[curves["method"] == "oracle"]
    assert oracle_gold(curves, oracle["kl"]) == pytest.approx(oracle["gold"].to_numpy(), abs=1e-9)
