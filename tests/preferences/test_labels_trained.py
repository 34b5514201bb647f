"""Training on ties, soft labels and preferences in a circle: their columns, and bits that no neighbour changes."""

import numpy as np
import pytest
import torch
from scipy.special import expit

import simulator as sim
from tests.conftest import small_sweep
from tests.helpers.games import solved

SHORT = {"steps": 6, "checkpoints": 3, "batch": 16}


@pytest.fixture(scope="module")
def tied() -> sim.World:
    return sim.make_world(small_sweep(data={"pairs": 48, "labels": "ties"}, train=SHORT))


def test_a_tie_is_trained_on_in_both_orders(tied: sim.World) -> None:
    pairs = tied.preferences(48, seed=1)
    assert pairs.weights is not None
    assert {tuple(row) for row in pairs.weights.tolist()} == {(1.0, 0.0), (0.5, 0.5)}
    policies = sim.train(tied, pairs, loss="logistic", beta=0.5, seed=1)
    curves = policies.curves
    share = float((pairs.weights[:, 1] == 0.5).double().mean())
    assert curves["tied"].tolist() == [pytest.approx(share)] * 3
    assert curves["train_accuracy"].iloc[-1] <= 1 - share / 2 + 1e-9
    assert tied.measure(policies, pairs=pairs)["train_accuracy"][0] == curves["train_accuracy"].iloc[-1]


def test_tied_runs_have_the_same_bits_alone(tied: sim.World) -> None:
    data = [tied.preferences(48, seed=seed) for seed in (0, 1)]
    together = sim.train(tied, data, loss=["logistic", "kto"], beta=0.5, seed=[0, 1])
    some = list(zip(together.parameters, together.table.to_dict("records"), strict=True))
    for policy, row in some[1::2]:
        alone = sim.train(tied, data[row["seed"]], loss=row["loss"], beta=row["beta"], seed=row["seed"])
        assert alone.table["run_id"][0] == row["run_id"]
        assert torch.equal(alone.parameters[0], policy), row["run_id"]


def test_pairs_of_your_own_may_have_soft_labels(lab: sim.World) -> None:
    drawn = lab.preferences(24, seed=0)
    chosen, rejected = drawn.chosen, drawn.rejected
    soft = sim.Pairs(prompts=drawn.prompts, chosen=chosen, rejected=rejected, weights=[[0.8, 0.2]] * 24)
    hard = sim.Pairs(prompts=drawn.prompts, chosen=chosen, rejected=rejected)
    short = {f"train.{key}": value for key, value in SHORT.items()}
    settings = short | {"objective.conservative_dpo.epsilon": 0.2}
    policies = sim.train(lab, soft, loss="logistic", beta=0.5, seed=0, settings=short)
    expected = sim.train(lab, hard, loss="conservative_dpo", beta=0.5, seed=0, settings=settings)
    assert policies.parameters.numpy() == pytest.approx(expected.parameters.numpy(), abs=1e-4)
    other = sim.train(lab, hard, loss="logistic", beta=0.5, seed=0, settings=short)
    assert policies.table["run_id"][0] != other.table["run_id"][0]
    with pytest.raises(sim.ConfigError, match="some have weights"):
        sim.train(lab, [soft, hard], loss="logistic", seed=[0, 1])
    with pytest.raises(sim.ConfigError, match="takes no weights"):
        sim.train(lab, soft, loss="ganpo", seed=0)
    for weights in ([[1.0, 0.0]], [[0.0, 0.0]] * 24, [[-1.0, 2.0]] * 24, "all"):
        with pytest.raises(sim.ConfigError, match="Pairs: weights"):
            sim.Pairs(prompts=drawn.prompts, chosen=chosen, rejected=rejected, weights=weights)


def test_fresh_pairs_and_proxies_have_ties_too(tied: sim.World) -> None:
    pairs = tied.preferences(48, seed=0)
    online = {"online.refresh": 3, "online.pairs": 16}
    policies = sim.train(tied, pairs, loss="logistic", beta=0.5, seed=0, settings=online)
    assert policies.curves["tied"].nunique() == 2
    proxy = sim.train_proxy(tied, pairs, width=8, seed=0, settings={"proxy.steps": 4, "proxy.held_out": 0.25})
    assert 0 < float(proxy.facts["train_accuracy"].iloc[0]) < 1


def test_the_win_rate_against_the_nash_policy_is_exact() -> None:
    """Independent truth: the game of all responses by a linear program, and the policy's probabilities of each."""
    cycle = 2.0
    data = {"pairs": 48, "labels": "intransitive", "cycle": cycle, "temperature": 0.8}
    world = sim.make_world(small_sweep(data=data, train=SHORT))
    policies = sim.train(world, world.preferences(48, seed=0), loss="logistic", beta=0.5, seed=0)
    listed = world.simulated.responses
    gold = world.gold(world.prompts, listed.expand(len(world.prompts), -1, -1)).numpy()
    kind = listed[:, 0].numpy() % 3
    circle = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])[kind[:, None], kind[None]]
    law = policies.log_prob(world.prompts, listed.expand(len(world.prompts), -1, -1))[0].exp().double().numpy()
    found = []
    for row, own in zip(gold, law, strict=True):
        preferred = expit((row[:, None] - row[None] + cycle * circle) / 0.8)
        found.append(own @ preferred @ solved(preferred - 0.5))
    assert policies.curves["nash_win_rate"].iloc[-1] == pytest.approx(np.mean(found), abs=1e-6)
    assert "nash_win_rate" not in sim.train(world, world.preferences(8, labels="ties"), steps=2).curves
