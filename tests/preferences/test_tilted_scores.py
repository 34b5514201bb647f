"""Scores of pairs under tables and linear policies, against gradients of what they say."""

import pytest
import torch

import simulator as sim
from simulator.preferences.filtering import scores_at_reference
from simulator.preferences.pairs import Preferences
from simulator.worlds.policy_classes.tilted import Tilted
from tests.conftest import small_sweep


@pytest.mark.parametrize("stop", [0.0, 0.3])
@pytest.mark.parametrize(
    "policy", [{"kind": "tabular"}, {"kind": "linear", "features": "bigrams"}], ids=["tabular", "linear"]
)
def test_the_rate_is_the_product_of_gradients(policy: dict[str, str], stop: float) -> None:
    world = sim.make_world(small_sweep(policy=policy, world={"language": {"stop": stop}})).simulated
    held = world.policy_class
    assert isinstance(held, Tilted)
    every = held.listed.responses
    prompt, chosen, rejected = torch.tensor([[0, 1, 1, 0], [0, 3, 2, 5], [1, 0, 2, 5 % len(every)]])
    pairs = Preferences(
        prompt=prompt,
        responses=torch.stack([every[chosen], every[rejected]], dim=1),
        reference=torch.zeros(4, 2, dtype=torch.float64),
    )
    scores = scores_at_reference(pairs, world)
    for place in range(4):
        theta = held.start[None].clone().requires_grad_()
        log_probs = held.log_probs(theta, prompt[None], pairs.responses[None])[0, place]
        first, last = (torch.autograd.grad(value, theta, retain_graph=True)[0][0].double() for value in log_probs)
        assert scores.displacement_rate[place].item() == pytest.approx((first @ (first - last)).item(), abs=1e-6)
    alike = (pairs.responses[:, 0] == pairs.responses[:, 1]).all(dim=1)
    assert alike.tolist() == [False, False, True, True]
    for name in ("ches", "ches_normalized", "displacement_rate"):
        assert getattr(scores, name)[alike].abs().max().item() < 1e-12
    if policy["kind"] == "tabular":
        assert (scores.displacement_rate >= 0).all()
        assert (scores.ches[~alike] == -1).all()
