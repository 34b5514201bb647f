"""Policy gradients against finite differences, and against each other in the mean."""

import math
from typing import Any

import numpy as np
import pytest
import torch

import simulator as sim
from simulator.methods.algorithms.policy_gradients import (
    Rollout,
    Task,
    clipped,
    gradient_of,
    leave_one_out,
    objective,
    reinforce,
    roll_out,
    set_task,
)
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


def test_leave_one_out_by_hand() -> None:
    returns = torch.tensor([[1.0, 2.0, 6.0]])
    assert leave_one_out(returns).tolist() == [[1 - 4.0, 2 - 3.5, 6 - 1.5]]


def rollout(advantage: list[float], responses: torch.Tensor, old: torch.Tensor) -> Rollout:
    return Rollout(
        prompt=torch.zeros(1, 1, dtype=torch.int64),
        responses=responses,
        old_log_probs=old,
        advantage=torch.tensor([[advantage]]),
    )


def test_the_clipped_surrogate_by_hand() -> None:
    """Two responses of two tokens, the second over after its first: u = 1.5 and 0.5, then 0.7 and nothing."""
    responses = torch.tensor([[[[0, 1], [1, -1]]]])
    old = torch.zeros(1, 1, 2, 2)
    new = torch.tensor([[[[math.log(1.5), math.log(0.5)], [math.log(0.7), 0.0]]]])
    found = clipped(new, rollout([2.0, -1.0], responses, old), 0.2)
    first = 1.2 * 2 + 0.5 * 2  # a gain is cut off above, a loss is not
    second = -0.8  # min(-0.7, -0.8): what was made rarer far enough is left alone
    assert float(found) == pytest.approx(-(first + second) / 2)


def test_the_surrogate_of_rloo_by_hand() -> None:
    log_probs = torch.tensor([[[[-1.0, -2.0], [-0.5, -0.25]]]])
    found = reinforce(log_probs, rollout([3.0, -3.0], torch.zeros(1, 1, 2, 2, dtype=torch.int64), log_probs))
    assert float(found) == pytest.approx(-(3 * -3.0 + -3 * -0.75) / 2)


def test_prompts_come_in_epochs(lab: sim.World) -> None:
    task = task_of(lab, seeds=1, prompts=1)
    with torch.no_grad():
        rows = [int(roll_out(lab.reference.parameters, task, step).prompt) for step in range(1, 7)]
    assert sorted(rows[:3]) == sorted(rows[3:]) == [0, 1, 2]


def test_more_prompts_than_there_are_means_all(lab: sim.World) -> None:
    assert task_of(lab, seeds=1, prompts=50).prompts == 3
