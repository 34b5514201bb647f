"""Policies of a given KL along a direction, against closed forms."""

import numpy as np
import pytest
import torch

from simulator.api.oracle import best_possible
from simulator.instruments.regret.tilt import at_kl, gold_at, strength_at


@pytest.fixture
def reference(rng: np.random.Generator) -> torch.Tensor:
    return torch.log_softmax(torch.from_numpy(2 * rng.normal(size=(3, 50))), dim=-1)


def kl_of(log_probs: torch.Tensor, reference: torch.Tensor) -> float:
    return float((log_probs.exp() * (log_probs - reference)).sum(dim=-1).mean())


@pytest.mark.parametrize("budget", [1e-6, 0.01, 0.5, 2.0, 3.5])
@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e5])
def test_they_have_that_kl_in_any_unit(
    budget: float, unit: float, reference: torch.Tensor, rng: np.random.Generator
) -> None:
    direction = unit * torch.from_numpy(rng.normal(size=(3, 50)))
    assert kl_of(at_kl(reference, direction, budget), reference) == pytest.approx(budget, rel=1e-9)


def test_along_its_own_log_ratio_lies_a_policy(reference: torch.Tensor, rng: np.random.Generator) -> None:
    policy = torch.log_softmax(reference + torch.from_numpy(rng.normal(size=(3, 50))), dim=-1)
    direction = policy - reference
    assert strength_at(reference, direction, kl_of(policy, reference)) == pytest.approx(1.0, rel=1e-8)
    torch.testing.assert_close(at_kl(reference, direction, kl_of(policy, reference)), policy, rtol=1e-8, atol=1e-8)


def test_along_gold_lies_the_oracle(reference: torch.Tensor, rng: np.random.Generator) -> None:
    gold = torch.from_numpy(rng.normal(size=(3, 50)))
    known = best_possible(reference.exp().numpy(), gold.numpy())
    budgets = [0.1, 1.0, 2.5]
    assert gold_at(reference, gold, gold, budgets) == pytest.approx([known(kl) for kl in budgets], rel=1e-9)


def test_no_kl_and_no_direction_leave_the_reference(reference: torch.Tensor) -> None:
    torch.testing.assert_close(at_kl(reference, torch.ones(3, 50, dtype=torch.float64), 1.0), reference)
    torch.testing.assert_close(at_kl(reference, torch.rand(3, 50, dtype=torch.float64), 0.0), reference)


def test_beyond_its_last_policy_there_is_the_last(reference: torch.Tensor, rng: np.random.Generator) -> None:
    direction = torch.from_numpy(rng.normal(size=(3, 50)))
    law = at_kl(reference, direction, 1e3).exp()
    np.testing.assert_allclose(law.max(dim=-1).values, 1.0, atol=1e-6)
    assert torch.equal(law.argmax(dim=-1), direction.argmax(dim=-1))
