"""Scores against autograd of one response at a time."""

import pytest
import torch

import simulator as sim
from simulator.audit.scores import places_of, scores_at
from simulator.worlds.protocol import ListedWorld, as_listed
from tests.conftest import small_sweep

KINDS = {
    "one length": {},
    "ends": {"world": {"language": {"stop": 0.3}}},
    "linear": {"policy": {"kind": "linear"}},
    "tabular": {"policy": {"kind": "tabular"}, "world": {"response_length": 2}},
}


def world_of(kind: str) -> ListedWorld:
    return as_listed(sim.make_world(small_sweep(**KINDS[kind])).simulated)


def moved(world: ListedWorld) -> torch.Tensor:
    start = world.policy_class.start.double()
    return start + 0.2 * torch.randn(len(start), generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_gradients_of_log_pi(kind: str) -> None:
    world = world_of(kind)
    theta, prompt = moved(world), 1
    scores = scores_at(world, theta, prompt)
    laws = world.policy_class.laws(theta[None])[0, prompt]
    assert torch.allclose(scores.law, laws.exp(), rtol=1e-10)
    assert float(scores.law.sum()) == pytest.approx(1)
    said = (world.responses >= 0).double()
    assert scores.sum_of(scores.law[:, None] * said).abs().max() < 1e-12  # a score has mean 0
    leaf = theta[None].requires_grad_()
    for number in (0, 7, len(world.responses) - 1):
        log_prob = world.policy_class.laws(leaf)[0, prompt, number]
        (expected,) = torch.autograd.grad(log_prob, leaf)
        one = torch.zeros_like(said)
        one[number] = said[number]
        assert torch.allclose(scores.sum_of(one), expected[0], atol=1e-10)
        assert float(scores.squares(said)[number]) == pytest.approx(float(expected.square().sum()))


def test_tokens_of_one_prefix_are_kept_once() -> None:
    world = world_of("ends")
    rows, places, path = places_of(world)
    tokens = {
        tuple(response[: place + 1].tolist()) for response, place in zip(world.responses[rows], places, strict=True)
    }
    assert len(tokens) == len(rows)
    for response, way in zip(world.responses.tolist(), path.tolist(), strict=True):
        for place, (token, row) in enumerate(zip(response, way, strict=True)):
            if token < 0:
                assert row == len(rows)
            else:
                assert world.responses[rows[row]].tolist()[: place + 1] == response[: place + 1]
                assert int(places[row]) == place
