"""Policy gradients against finite differences, against each other in the mean, and against the optimum."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from simulator.engine.gradient_steps import start
from simulator.engine.recorder import Recorder
from simulator.measurement.ensemble import Unit
from simulator.measurement.gibbs import gibbs
from simulator.methods.algorithms.policy_gradients import (
    Rollout,
    Task,
    climb,
    clipped,
    gradient_of,
    leave_one_out,
    objective,
    reinforce,
    roll_out,
    set_task,
)
from simulator.methods.rl import METHOD, algorithm_of
from simulator.networks.parameters import unstack
from simulator.proxies.reward_model import members_needed
from simulator.proxies.scores import Proxy, make_proxy
from simulator.proxies.training import train_members
from simulator.settings.run import Run
from simulator.sweeps.grid import expand
from simulator.worlds.build import build_world
from simulator.worlds.protocol import World
from tests.conftest import small_sweep

SHAPE = {"prompts": 2, "responses": 8}


def runs_of(seeds: int = 2, penalty: tuple[float, ...] = (0.3,), **tables: dict[str, Any]) -> list[Run]:
    rl = SHAPE | tables.pop("rl", {})
    grid = {"method": "rl", "seeds": seeds, "penalty": list(penalty)}
    return expand(small_sweep(rl=rl, sweep=grid, **tables))


def planted(world: World, seed: int) -> Proxy:
    """A proxy that is a table of random scores, of which networks know nothing."""
    law = world.listing.reference_probs
    scores = np.random.default_rng(seed).normal(size=law.shape)
    centred = scores - (law * scores).sum(axis=1, keepdims=True)
    unit = Unit(centre=np.zeros(len(law)), factor=1.0)
    return Proxy(members=(), units=(), combine="mean", uncertainty=0.0, unit=unit, table=centred, drift=0 * law)


def task_of(runs: list[Run], world: World) -> Task:
    return set_task(runs, world, [planted(world, run.seed) for run in runs], algorithm_of(runs[0].settings))


def moved(world: World, rows: int, size: float = 0.1, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(rows, len(world.reference), generator=generator, dtype=torch.float64)
    return (world.reference.double() + size * noise).to(dtype)


def test_the_objective_is_the_sum_over_every_response(world: World) -> None:
    runs = runs_of(penalty=(0.0, 0.7))
    task, parameters = task_of(runs, world), moved(world, 4)
    found = objective(unstack(parameters, world.architecture), world, task.scorer.tables, task.penalty)
    measured, _ = world.measure(parameters, None, runs[0].settings.data, task.scorer)
    by_hand = measured["proxy"] - torch.tensor([run.beta for run in runs]) * measured["kl"]
    assert found.numpy() == pytest.approx(by_hand.numpy(), abs=1e-6)


def test_the_exact_gradient_agrees_with_finite_differences(world: World) -> None:
    task = task_of(runs_of(rl={"algorithm": "exact"}, penalty=(0.0, 0.5)), world)
    parameters = moved(world, 4, dtype=torch.float64)
    direction = moved(world, 4, size=1.0, dtype=torch.float64) - world.reference.double()
    gradient = gradient_of(parameters, task, None)

    def value(rows: torch.Tensor) -> torch.Tensor:
        return objective(unstack(rows, world.architecture), world, task.scorer.tables, task.penalty.double())

    slope = (value(parameters + 1e-6 * direction) - value(parameters - 1e-6 * direction)) / 2e-6
    assert -(gradient * direction).sum(dim=1).numpy() == pytest.approx(slope.numpy(), rel=1e-5)


@pytest.mark.slow(but="rloo")
@pytest.mark.parametrize("algorithm", ["rloo", "ppo"])
def test_the_mean_gradient_is_the_exact_one(world: World, algorithm: str, long: bool) -> None:
    """Along the exact gradient and two other directions, within four standard errors."""
    (run,) = runs_of(seeds=1, penalty=(0.4,), rl={"algorithm": algorithm, "prompts": 3})
    task, parameters = task_of([run], world), moved(world, 1)
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


def trained_proxy(run: Run, world: World) -> Proxy:
    with torch.no_grad():
        ((trained, _),) = train_members(members_needed([run]), world, Recorder())
    return make_proxy([trained], world.listing, combine="mean", uncertainty=0.0)


@pytest.mark.slow(but="exact-500")
@pytest.mark.parametrize(("algorithm", "steps"), [("exact", 500), ("rloo", 700), ("ppo", 350)])
def test_run_long_it_comes_to_the_optimum(algorithm: str, steps: int) -> None:
    """Within two per cent of the objective of the Gibbs policy, whose closed form no policy can beat."""
    tables = {"policy": {"layers": 1, "width": 32}, "world": {"prompts": 2}, "data": {"pairs": 1000}}
    train = {"steps": steps, "learning_rate": 0.003, "schedule": "linear", "clip": 1.0}
    rl = {"algorithm": algorithm, "responses": 64, "reuse": 3}
    (run,) = runs_of(seeds=1, penalty=(0.3,), rl=rl, train=train, proxy={"steps": 300, "width": 16}, **tables)
    here = build_world(run.settings)
    task = set_task([run], here, [trained_proxy(run, here)], algorithm_of(run.settings))
    scores = task.scorer.tables[0]
    best = gibbs(here.reference_log_probs, scores, torch.tensor([0.3]))
    ceiling = float((best.exp() * (scores - 0.3 * (best - here.reference_log_probs))).sum(dim=-1).mean())
    with torch.no_grad():
        state = climb(start(here.reference, 1), task, steps)
        reached = objective(unstack(state.parameters, here.architecture), here, task.scorer.tables, task.penalty)
    assert 0.98 * ceiling < float(reached) <= ceiling + 1e-6
    assert ceiling > 0.5


@pytest.mark.parametrize("algorithm", ["exact", "rloo", "ppo"])
def test_a_run_alone_and_in_a_stack_has_the_same_bits(world: World, algorithm: str) -> None:
    runs = runs_of(seeds=3, penalty=(0.0, 0.3), rl={"algorithm": algorithm})
    with torch.no_grad():
        together = climb(start(world.reference, 6), task_of(runs, world), 12).parameters
        for row, run in enumerate(runs):
            alone = climb(start(world.reference, 1), task_of([run], world), 12).parameters
            assert torch.equal(alone[0], together[row]), run.run_id


def test_climbing_in_pieces_is_climbing_at_once(world: World) -> None:
    runs = runs_of(rl={"algorithm": "ppo"}, train={"schedule": "cosine", "warmup": 3})
    task = task_of(runs, world)
    with torch.no_grad():
        whole = climb(start(world.reference, 2), task, 12)
        pieces = start(world.reference, 2)
        for steps in (1, 4, 7):
            pieces = climb(pieces, task, steps)
    assert torch.equal(whole.parameters, pieces.parameters)


def test_prompts_come_in_epochs(world: World) -> None:
    (run,) = runs_of(seeds=1, rl={"prompts": 1})
    task = task_of([run], world)
    with torch.no_grad():
        rows = [int(roll_out(world.reference[None], task, step).prompt) for step in range(1, 7)]
    assert sorted(rows[:3]) == sorted(rows[3:]) == [0, 1, 2]


def test_more_prompts_than_there_are_means_all(world: World) -> None:
    (run,) = runs_of(seeds=1, rl={"prompts": 50})
    assert task_of([run], world).prompts == 3


def test_the_records_of_a_path(world: World) -> None:
    runs = runs_of(seeds=2, penalty=(0.0,))
    proxies = [planted(world, run.seed) for run in runs]
    beside: dict[str, pd.DataFrame] = {}
    curves = METHOD.run(runs, world, proxies, Recorder(save_table=beside.__setitem__))
    assert set(beside) == {"responses", "gold_law"}
    assert set(beside["responses"]["run_id"]) == {run.run_id for run in runs}
    assert curves["step"].max() == 40
    start_rows, end_rows = curves[curves["step"] == 0], curves[curves["step"] == 40]
    for name in ("kl", "gold", "proxy"):
        assert start_rows[name].to_numpy() == pytest.approx(np.zeros(2), abs=1e-6)
    assert (end_rows["proxy"] > 0.1).all()
    assert (curves["kl_source"] == "exact").all()
    assert (curves["beta"] == 0.0).all()


def test_a_run_that_diverges_is_marked(world: World) -> None:
    runs = runs_of(seeds=2, train={"learning_rate": 1e12, "clip": 0.0, "optimizer": "adamw", "weight_decay": 1.0})
    with torch.no_grad():
        state = climb(start(world.reference, 2), task_of(runs, world), 3)
    assert (state.diverged_at > 0).all()


@pytest.mark.slow
def test_in_a_sampled_world_it_climbs_the_networks_score() -> None:
    here = build_world(small_sweep(world={"kind": "sampled", "language": {"stop": 0.1}}))
    tables = {"world": {"kind": "sampled", "language": {"stop": 0.1}}}
    (run,) = runs_of(seeds=1, penalty=(0.0,), **tables, rl={"prompts": 3, "responses": 16}, train={"steps": 60})
    curves = METHOD.run([run], here, [trained_proxy(run, here)], Recorder()).set_index("step")
    assert curves.loc[60, "proxy"] > curves.loc[0, "proxy"] + 5 * curves.loc[60, "proxy_se"]
    assert curves.loc[60, "kl"] > 0.1
    assert (curves["kl_source"] == "sampled").all()
    assert replace(run, seed=3).run_id != run.run_id
