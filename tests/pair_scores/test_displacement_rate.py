"""The displacement rate against steps that are taken, and against what softmax logits give in closed form."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

import simulator as sim
from simulator.networks.architecture import Architecture
from simulator.networks.packing import packing
from simulator.networks.parameters import initial_parameters
from simulator.networks.transformer import sequence_log_probs
from simulator.pair_scores import many_pairs
from simulator.pair_scores.displacement_rate import displacement_rates, transformer_log_probs
from simulator.pair_scores.many_pairs import score_pairs

SIZES = Architecture(vocabulary=5, context=4, layers=1, width=8, heads=2)
BETA, STEP = 0.7, 1e-6


def pairs(rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
    prompts, responses = rng.integers(5, size=(count, 2)), rng.integers(5, size=(count, 2, 3))
    return torch.from_numpy(prompts), torch.from_numpy(responses)


def test_a_small_step_on_one_pair_moves_its_chosen_response_so(lab: sim.World) -> None:
    """Plain gradient steps forth and back on the logistic loss at the reference, whose slope is beta / 2."""
    drawn, place = lab.preferences(48, seed=0), lab.simulated
    parameters, sizes = place.reference.double(), place.architecture
    rates = displacement_rates(transformer_log_probs(sizes), parameters, drawn.prompts, drawn.responses)
    assert rates.min() < -1 < 1 < rates.max()  # displacement, and none
    packed = packing(prompt_length=drawn.prompts.shape[1], response_length=3, responses=2, device=rates.device)
    for number in rates.argsort()[[0, 1, 20, 40, 47]].tolist():
        asked, given = drawn.prompts[None, number : number + 1], drawn.responses[None, number : number + 1]
        row = parameters[None].clone().requires_grad_()
        values = sequence_log_probs(row, sizes, packed, asked, given)[0, 0]
        margin = (values - values.detach()) @ torch.tensor([1.0, -1.0]).double()
        (slope,) = torch.autograd.grad(softplus(-BETA * margin), row)
        with torch.no_grad():
            after, before = (
                sequence_log_probs(row - sign * STEP * slope, sizes, packed, asked, given)[0, 0, 0] for sign in (1, -1)
            )
        assert float(after - before) / (2 * STEP) == pytest.approx(BETA / 2 * float(rates[number]), rel=1e-3, abs=1e-6)


def test_softmax_logits_never_displace() -> None:
    """One token from a table: g = onehot - pi, so the rate is 1 - pi(w) + pi(l) > 0 whatever the pair."""
    logits = torch.tensor([0.5, -1.0, 2.0, 0.0], dtype=torch.float64)
    pi = logits.softmax(dim=0)
    responses = torch.tensor([[[chosen], [rejected]] for chosen, rejected in itertools.permutations(range(4), 2)])

    def table(rows: Tensor, prompts: Tensor, said: Tensor) -> Tensor:
        return rows.log_softmax(dim=1).gather(1, said[:, 0, 0]).unsqueeze(2)

    found = displacement_rates(table, logits, torch.zeros(len(responses), 1, dtype=torch.int64), responses)
    chosen, rejected = pi[responses[:, 0, 0]], pi[responses[:, 1, 0]]
    np.testing.assert_allclose(found.numpy(), (1 - chosen + rejected).numpy())
    assert found.min() > 0


def test_scores_do_not_depend_on_how_many_are_taken_together(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pairs that come twice have the same scores to the bit."""
    parameters = initial_parameters(SIZES, rng)
    prompts, responses = pairs(rng, 9)
    prompts, responses = torch.cat([prompts, prompts]), torch.cat([responses, responses])
    whole = score_pairs(parameters, SIZES, prompts, responses)
    monkeypatch.setattr(many_pairs, "MOST_NUMBERS", 2 * many_pairs.numbers_per_pair(SIZES))
    parts = score_pairs(parameters, SIZES, prompts, responses)
    for name, held in vars(whole).items():
        assert held.dtype == torch.float64
        assert torch.equal(held[:9], held[9:])
        np.testing.assert_allclose(getattr(parts, name).numpy(), held.numpy(), rtol=1e-9, atol=1e-9)
