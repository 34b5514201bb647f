"""Advantages and surrogates by hand, against second implementations and numerical gradients."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from simulator.methods.algorithms.surrogates import (
    ESTIMATES,
    SURROGATES,
    Algorithm,
    Rollout,
    batch_standardized,
    group_standardized,
    leave_one_out,
    less_group_mean,
    returns_to_go,
    surrogate_loss,
    token_costs,
)

ENDED = torch.tensor([[[[0, 1, 2], [1, -1, -1]], [[2, 0, -1], [1, 1, 0]]]])  # [1, 2, 2, 3]; token 0 does not end here


def algorithm(name: str, kl: str = "reward", estimator: str = "k1") -> Algorithm:
    return Algorithm(name=name, prompts=2, responses=2, ratio_clip=0.2, reuse=4, kl=kl, kl_estimator=estimator)


def rollout(
    advantage: Any, responses: torch.Tensor, old: torch.Tensor, reference: torch.Tensor | None = None
) -> Rollout:
    return Rollout(
        prompt=torch.zeros(responses.shape[:2], dtype=torch.int64),
        responses=responses,
        old_log_probs=old,
        advantage=torch.as_tensor(advantage, dtype=torch.float64),
        reference_log_probs=reference,
    )


def random_log_probs(seed: int) -> torch.Tensor:
    drawn = -torch.rand(ENDED.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.3
    return drawn.masked_fill(ENDED < 0, 0.0)


def test_advantages_by_hand() -> None:
    returns = torch.tensor([[[1.0, 2.0, 6.0]]], dtype=torch.float64)
    assert leave_one_out(returns).tolist() == [[[1 - 4.0, 2 - 3.5, 6 - 1.5]]]
    assert less_group_mean(returns).tolist() == [[[-2.0, -1.0, 3.0]]]
    deviation = math.sqrt((4 + 1 + 9) / 2)
    by_hand = [-2 / (deviation + 1e-4), -1 / (deviation + 1e-4), 3 / (deviation + 1e-4)]
    assert group_standardized(returns)[0, 0].tolist() == pytest.approx(by_hand)
    assert group_standardized(torch.ones(1, 1, 4)).abs().max() == 0


def test_returns_to_go_and_their_normalization_leave_out_what_is_behind_an_end() -> None:
    scores, costs = torch.tensor([[[5.0, 7.0]]]), torch.tensor([[[[1.0, 2.0, 4.0], [3.0, 0.0, 0.0]]]])
    found = returns_to_go(scores, costs)
    assert found.tolist() == [[[[-2.0, -1.0, 1.0], [4.0, 7.0, 7.0]]]]
    said = torch.tensor([[[[True, True, True], [True, False, False]]]])
    every = np.array([-2.0, -1.0, 1.0, 4.0])
    by_hand = (every - every.mean()) / every.std()
    normalized = batch_standardized(found.double(), said)
    assert normalized[said].numpy() == pytest.approx(by_hand)
    assert (normalized[~said] == 0).all()


def test_the_clipped_surrogate_by_hand() -> None:
    """Two responses of two tokens, the second over after its first: u = 1.5 and 0.5, then 0.7 and nothing."""
    responses, old = torch.tensor([[[[0, 1], [1, -1]]]]), torch.zeros(1, 1, 2, 2)
    new = torch.tensor([[[[math.log(1.5), math.log(0.5)], [math.log(0.7), 0.0]]]])
    here, none = rollout([[[2.0, -1.0]]], responses, old), torch.zeros(1, 1)
    first = 1.2 * 2 + 0.5 * 2  # a gain is cut off above, a loss is not
    second = -0.8  # min(-0.7, -0.8): what was made rarer far enough is left alone
    for name, mean in (
        ("ppo", (first + second) / 2),
        ("dr_grpo", (first + second) / 2),
        ("grpo", (first / 2 + second) / 2),
        ("reinforce_pp", (first + second) / 3),
    ):
        assert float(surrogate_loss(new, here, algorithm(name), none)) == pytest.approx(-mean), name


def test_the_surrogate_of_rloo_by_hand() -> None:
    log_probs = torch.tensor([[[[-1.0, -2.0], [-0.5, -0.25]]]], dtype=torch.float64)
    here = rollout([[[3.0, -3.0]]], torch.zeros(1, 1, 2, 2, dtype=torch.int64), log_probs)
    found = surrogate_loss(log_probs, here, algorithm("rloo"), torch.zeros(1, 1))
    assert float(found) == pytest.approx(-(3 * -3.0 + -3 * -0.75) / 2)


def one_by_one(log_probs: np.ndarray, here: Rollout, name: str, estimator: str | None, tau: float) -> float:
    """The surrogates again, token by token in plain Python."""
    tokens, responses = 0, []
    for prompt, response in np.ndindex(2, 2):
        values = []
        for place, token in enumerate(here.responses[0, prompt, response].tolist()):
            if token < 0:
                break
            at = 0, prompt, response, place
            ratio = math.exp(log_probs[at] - float(here.old_log_probs[at]))
            advantage = here.advantage[at] if here.advantage.dim() == 4 else here.advantage[at[:3]]
            gain = min(ratio * float(advantage), min(max(ratio, 0.8), 1.2) * float(advantage))
            if name == "rloo":
                gain = float(advantage) * log_probs[at]
            if estimator:
                assert here.reference_log_probs is not None
                other = float(here.reference_log_probs[at]) - log_probs[at]  # log pi_ref / pi
                gain -= tau * {"k1": -other, "k2": other**2 / 2, "k3": math.exp(other) - other - 1}[estimator]
            values.append(gain)
        tokens += len(values)
        responses.append(sum(values) / (len(values) if name == "grpo" else 1))
    return -sum(responses) / (tokens if name == "reinforce_pp" else 4)


CASES = [(name, estimator) for name in SURROGATES for estimator in (None, *ESTIMATES)]


@pytest.mark.parametrize(("name", "estimator"), CASES)
def test_every_surrogate_against_a_second_implementation_and_its_numerical_gradient(
    name: str, estimator: str | None
) -> None:
    old, reference, log_probs = (random_log_probs(seed) for seed in (1, 2, 3))
    shape = (1, 2, 2, 3) if SURROGATES[name].of_tokens else (1, 2, 2)
    advantage = torch.randn(shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    here = rollout(advantage, ENDED, old, reference if estimator else None)
    how = algorithm(name, "loss" if estimator else "reward", estimator or "k1")
    leaf, tau = log_probs.clone().requires_grad_(), torch.tensor([[0.7]], dtype=torch.float64)
    loss = surrogate_loss(leaf, here, how, tau)
    assert float(loss.detach()) == pytest.approx(one_by_one(log_probs.numpy(), here, name, estimator, 0.7))
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    for at in np.ndindex(*ENDED.shape):
        ends = []
        for step in (1e-6, -1e-6):
            moved = log_probs.numpy().copy()
            moved[at] += step
            ends.append(one_by_one(moved, here, name, estimator, 0.7))
        if ENDED[at] >= 0:
            assert float(gradient[at]) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-7)
        elif name != "rloo":  # rloo sums what is 0 behind an end, whatever its gradient
            assert float(gradient[at]) == 0


def test_estimates_in_a_loss_are_trls() -> None:
    """GRPOTrainer writes k3 as exp(d) - d - 1 with d = log pi_ref - log pi."""
    log_probs, reference = random_log_probs(1), random_log_probs(2)
    found = token_costs(log_probs, reference, ENDED >= 0, "k3")
    gap = reference - log_probs
    assert torch.allclose(found, torch.where(ENDED >= 0, gap.exp() - gap - 1, 0.0), atol=1e-14)
    assert (found >= 0).all()
