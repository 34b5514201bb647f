"""Controls of likelihood displacement: who must displace less, and where CHES must see nothing.

Razin et al. 2024, arXiv:2410.08847; Pal et al. 2024, arXiv:2402.13228; Pang et al. 2024, arXiv:2404.19733.
"""

import pytest

import simulator as sim

WORLD = {"world.vocabulary": 5, "world.response_length": 3, "world.prompts": 4, "reference.steps": 300}


@pytest.mark.slow
def test_losses_that_hold_chosen_responses_displace_fewer_of_them() -> None:
    world = sim.make_world("quickstart", WORLD)
    pairs = world.preferences(256, seed=0)
    losses = ["logistic", "dpop", "dpo_sft"]
    trained = sim.train(world, pairs, loss=losses, beta=0.02, steps=150, checkpoints=3, seed=0)
    last = trained.curves.groupby("loss")["displaced"].last()
    assert last["dpop"] < last["logistic"] - 0.2
    assert last["dpo_sft"] < last["logistic"] - 0.2


def test_with_fixed_features_ches_sees_no_displacement() -> None:
    """CHES above 0 says that a pair displaces its chosen response: with hidden states that is seldom, here never."""
    shares = {}
    for kind in ("transformer", "tabular", "linear"):
        world = sim.make_world("quickstart", {**WORLD, "policy.kind": kind})
        scores = sim.displacement(world, world.preferences(256, seed=0))
        shares[kind] = (scores["ches"] > 0).mean(), (scores["displacement_rate"] < 0).mean()
    assert shares["tabular"] == (0.0, 0.0)
    assert shares["linear"][0] < 0.01
    assert shares["transformer"][0] > 0.05
