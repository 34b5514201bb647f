"""Policy gradients against finite differences, and against each other in the mean."""

import math
from typing import Any

import numpy as np
import pytest
import torch

import simulator as sim
from simulator.methods.algorithms.policy_gradients import Task, gradient_of, objective, roll_out, set_task
from simulator.methods.rl import algorithm_of
from simulator.sweeps.grid import expand
from tests.conftest import small_sweep
from tests.helpers.planted_proxy import planted_proxy

SHAPE = {"prompts": 2, "responses": 8}


def task_of(lab: sim.World, seeds: int = 2, penalty: tuple[float, ...] = (0.3,), **rl: Any) -> Task:
    grid = {"method": "rl", "seeds": seeds, "penalty": list(penalty)}
    runs = expand(small_sweep(rl=SHAPE | rl, sweep=grid))
    proxies = [planted_proxy(lab, run.seed).ensemble for run in runs]
    return set_task(runs, lab.simulated, proxies, algorithm_of(runs[0].settings))


def moved(lab: sim.World, rows: int, size: float = 0.1, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    (reference,) = lab.reference.parameters.double()
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(rows, len(reference), generator=generator, dtype=torch.float64)
    return (reference + size * noise).to(dtype)


def test_the_objective_is_the_sum_over_every_response(lab: sim.World) -> None:
    task, parameters, here = task_of(lab, penalty=(0.0, 0.7)), moved(lab, 4), lab.simulated
    found = objective(parameters, here, task.scorer.tables, task.penalty)
    measured, _ = here.measure(parameters, None, lab.settings.data, task.scorer)
    by_hand = measured["proxy"] - torch.tensor([0.0, 0.0, 0.7, 0.7]) * measured["kl"]
    assert found.numpy() == pytest.approx(by_hand.numpy(), abs=1e-6)


def test_the_exact_gradient_agrees_with_finite_differences(lab: sim.World) -> None:
    task, here = task_of(lab, algorithm="exact", penalty=(0.0, 0.5)), lab.simulated
    parameters = moved(lab, 4, dtype=torch.float64)
    direction = moved(lab, 4, size=1.0, dtype=torch.float64) - lab.reference.parameters.double()
    gradient = gradient_of(parameters, task, None)

    def value(rows: torch.Tensor) -> torch.Tensor:
        return objective(rows, here, task.scorer.tables, task.penalty.double())

    slope = (value(parameters + 1e-6 * direction) - value(parameters - 1e-6 * direction)) / 2e-6
    assert -(gradient * direction).sum(dim=1).numpy() == pytest.approx(slope.numpy(), rel=1e-5)


@pytest.mark.slow(but="rloo")
@pytest.mark.parametrize("algorithm", ["rloo", "ppo"])
def test_the_mean_gradient_is_the_exact_one(lab: sim.World, algorithm: str, long: bool) -> None:
    """Along the exact gradient and two other directions, within four standard errors."""
    task, parameters = task_of(lab, seeds=1, penalty=(0.4,), algorithm=algorithm, prompts=3), moved(lab, 1)
    exact = gradient_of(parameters, task, None)[0].double()
    others = torch.randn(2, len(exact), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    directions = torch.cat([exact[None], others])
    directions = directions / directions.norm(dim=1, keepdim=True)
    found = []
    for step in range(1, 1501 if long else 501):
        gradient = gradient_of(parameters, task, roll_out(parameters, task, step))[0].double()
        found.append((directions @ gradient).numpy())
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / math.sqrt(len(found))
    assert (np.abs(mean - (directions @ exact).numpy()) < 4 * error).all()
    assert error[0] < 0.2 * float(exact.norm())


def test_prompts_come_in_epochs(lab: sim.World) -> None:
    task = task_of(lab, seeds=1, prompts=1)
    with torch.no_grad():
        rows = [int(roll_out(lab.reference.parameters, task, step).prompt) for step in range(1, 7)]
    assert sorted(rows[:3]) == sorted(rows[3:]) == [0, 1, 2]


def test_more_prompts_than_there_are_means_all(lab: sim.World) -> None:
    assert task_of(lab, seeds=1, prompts=50).prompts == 3


@pytest.mark.parametrize("ends", [False, True])
def test_the_first_step_of_dr_grpo_is_that_of_rloo_a_little_shorter(lab: sim.World, ends: bool) -> None:
    """By (K - 1) / K: its baseline is the mean of all K, the response itself among them."""
    here = sim.make_world(small_sweep(world={"language": {"stop": 0.3}})) if ends else lab
    found = {}
    for name in ("rloo", "ppo", "dr_grpo"):
        task = task_of(here, algorithm=name, kl="reward", kl_estimator="k1", penalty=(0.4,))
        parameters = moved(here, 2)
        found[name] = gradient_of(parameters, task, roll_out(parameters, task, 1)).double()
    assert torch.allclose(found["dr_grpo"], found["rloo"] * 7 / 8, rtol=1e-4, atol=1e-6)
    assert torch.allclose(found["ppo"], found["rloo"], rtol=1e-4, atol=1e-6)
    assert found["rloo"].norm() > 0.01


def test_where_responses_have_one_length_grpo_divides_by_it(lab: sim.World) -> None:
    """Its first step is the mean over prompts of that of dr_grpo over the group's deviation and the length."""
    task = task_of(lab, seeds=1, algorithm="grpo", penalty=(0.0,))
    parameters = moved(lab, 1)
    rollout = roll_out(parameters, task, 1)
    scores = task.scorer.of(rollout.prompt, rollout.responses)
    by_hand = (scores - scores.mean(dim=-1, keepdim=True)) / (scores.std(dim=-1, keepdim=True) + 1e-4)
    leaf = parameters.clone().requires_grad_()
    log_probs = lab.simulated.policy_class.token_log_probs(leaf, rollout.prompt, rollout.responses)
    (expected,) = torch.autograd.grad(-(by_hand * log_probs.sum(dim=-1)).mean() / 3, leaf)
    assert torch.allclose(gradient_of(parameters, task, rollout), expected, rtol=1e-4, atol=1e-6)


def test_a_penalty_in_the_reward_is_charged_to_the_tokens_that_are_to_come(lab: sim.World) -> None:
    """Advantages of reinforce_pp, before they are normalized, are what log pi / pi_ref and the scores give by hand."""
    task = task_of(lab, seeds=1, algorithm="reinforce_pp", penalty=(0.4,))
    parameters = moved(lab, 1)
    rollout = roll_out(parameters, task, 1)
    assert rollout.reference_log_probs is not None
    scores = task.scorer.of(rollout.prompt, rollout.responses).numpy()
    costs = 0.4 * (rollout.old_log_probs - rollout.reference_log_probs).double().numpy()
    to_go = np.stack([scores - costs[..., place:].sum(axis=-1) for place in range(3)], axis=-1)
    by_hand = (to_go - to_go.mean()) / to_go.std()
    assert rollout.advantage.numpy() == pytest.approx(by_hand, abs=1e-5)
    whole = costs.sum(axis=-1) / 0.4
    said = rollout.old_log_probs.double().sum(dim=-1) - lab.simulated.log_reference(rollout.prompt, rollout.responses)
    assert whole == pytest.approx(said.numpy(), abs=1e-5)
