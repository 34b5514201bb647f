"""The training engine against a plain single run, against itself stacked, and at the limits of beta."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from simulator.engine.batches import batch_order
from simulator.engine.checkpoints import checkpoint_steps
from simulator.engine.gradient_steps import advance, loss_and_gradient, start
from simulator.engine.problem import TrainingProblem
from simulator.engine.recorder import Recorder
from simulator.execution.run_stack import run_stack
from simulator.methods.algorithms.pairwise_training import make_problem
from simulator.networks.parameters import unstack
from simulator.networks.transformer import token_log_probs
from simulator.objectives.losses.gpo import LOSSES
from simulator.preferences.draw import draw_labelled
from simulator.preferences.pairs import stack_preferences
from simulator.settings.run import Run
from simulator.sweeps.grid import expand
from simulator.worlds.protocol import World
from tests.conftest import small_sweep


def runs_of(**grid: object) -> list[Run]:
    train = grid.pop("train", {})
    return expand(small_sweep(sweep=grid, train=train))


def problem_of(runs: list[Run], world: World) -> TrainingProblem:
    return make_problem(
        runs, world, stack_preferences([draw_labelled(world, run.settings.data, run.seed) for run in runs])
    )


def test_batches_are_epochs_in_new_orders() -> None:
    order = batch_order(3, pairs=10, batch=4, first=0, steps=10)
    epochs = order.reshape(-1, 10)
    assert (np.sort(epochs, axis=1) == np.arange(10)).all()
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_any_stretch_of_batches_is_known_without_those_before() -> None:
    whole = batch_order(3, pairs=10, batch=4, first=0, steps=20)
    for first, steps in ((0, 1), (3, 5), (7, 13), (19, 1)):
        assert (batch_order(3, pairs=10, batch=4, first=first, steps=steps) == whole[first : first + steps]).all()


def test_gradient_agrees_with_finite_differences(world: World) -> None:
    runs = runs_of(loss=["logistic", "squared"], beta=[0.5], seeds=1)
    problem = problem_of(runs, world)
    problem = replace(problem, reference_log_probs=problem.reference_log_probs.double(), beta=problem.beta.double())
    generator = torch.Generator().manual_seed(0)
    parameters = world.reference.double().expand(2, -1) + 0.05 * torch.randn(
        2, len(world.reference), generator=generator, dtype=torch.float64
    )
    direction = torch.randn(parameters.shape, generator=generator, dtype=torch.float64)
    _, gradient = loss_and_gradient(parameters, problem, None)
    high, _ = loss_and_gradient(parameters + 1e-7 * direction, problem, None)
    low, _ = loss_and_gradient(parameters - 1e-7 * direction, problem, None)
    assert (gradient * direction).sum(dim=1).numpy() == pytest.approx(((high - low) / 2e-7).numpy(), rel=1e-5)


def train_plainly(run: Run, problem: TrainingProblem, row: int, reference: Tensor) -> Tensor:
    """One run by torch's own optimizer and clipping, on the pairs of one row; the parameters it ends with."""
    parameters = torch.nn.Parameter(reference.clone())
    train = run.settings.train
    optimizer = torch.optim.Adam([parameters], lr=train.learning_rate)
    order = batch_order(run.seed, problem.pairs, problem.batch, 0, train.steps)
    for step in range(train.steps):
        chosen = torch.from_numpy(order[step])
        log_probs = token_log_probs(
            unstack(parameters.unsqueeze(0), problem.architecture),
            problem.architecture,
            problem.packing,
            problem.prompts[row, chosen][None],
            problem.responses[row, chosen][None],
        ).sum(dim=-1)[0]
        ratio = log_probs - problem.reference_log_probs[row, chosen]
        loss = LOSSES[run.loss](run.beta * (ratio[:, 0] - ratio[:, 1])).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([parameters], train.clip or math.inf)
        optimizer.step()
    return parameters.detach()


def test_a_stack_trains_each_run_as_a_plain_loop_would(world: World) -> None:
    runs = runs_of(loss=list(LOSSES), beta=[0.3], seeds=2, train={"steps": 15})
    problem = problem_of(runs, world)
    state = advance(start(world.reference, len(runs)), problem, 15)
    for row, run in enumerate(runs):
        plain = train_plainly(run, problem, row, world.reference)
        assert state.parameters[row].numpy() == pytest.approx(plain.numpy(), abs=2e-4), run.run_id


def test_a_run_alone_and_in_a_stack_has_the_same_bits(world: World) -> None:
    runs = runs_of(loss=["logistic", "savage", "exponential"], beta=[0.05, 1.0], seeds=3, train={"batch": 15})
    together = problem_of(runs, world)
    state = advance(start(world.reference, len(runs)), together, 40)
    for row, run in enumerate(runs):
        alone = advance(start(world.reference, 1), problem_of([run], world), 40)
        assert torch.equal(alone.parameters[0], state.parameters[row]), run.run_id


def test_records_of_a_run_alone_and_in_a_stack_agree(world: World) -> None:
    runs = runs_of(loss=["logistic", "savage"], beta=[0.05, 1.0], seeds=3)
    together = run_stack(runs, world, [], Recorder())
    numbers = together.select_dtypes("number").columns
    for run in runs:
        alone = run_stack([run], world, [], Recorder())
        stacked = together[together["run_id"] == run.run_id]
        assert alone[numbers].to_numpy() == pytest.approx(stacked[numbers].to_numpy(), rel=1e-4, abs=1e-6)


def test_advancing_in_pieces_is_advancing_at_once(world: World) -> None:
    problem = problem_of(runs_of(loss=["hinge"], seeds=2, train={"schedule": "cosine", "warmup": 3}), world)
    whole = advance(start(world.reference, 6), problem, 30)
    pieces = start(world.reference, 6)
    for steps in (1, 4, 10, 15):
        pieces = advance(pieces, problem, steps)
    assert torch.equal(whole.parameters, pieces.parameters)


def test_a_diverged_run_is_marked_and_its_neighbours_go_on_untouched(world: World) -> None:
    runs = runs_of(loss=["exponential"], beta=[0.1, 5e4], seeds=2, train={"learning_rate": 0.3, "clip": 0.0})
    tame = [run for run in runs if run.beta < 1]
    problem = problem_of(runs, world)
    rates = torch.where(problem.beta < 1, 0.001, problem.learning_rate)
    state = advance(start(world.reference, 4), replace(problem, learning_rate=rates), 30)
    alone = problem_of(tame, world)
    calm = advance(start(world.reference, 2), replace(alone, learning_rate=rates[:2]), 30)
    assert (state.diverged_at >= 0).tolist() == [False, False, True, True]
    assert torch.equal(state.parameters[:2], calm.parameters)

    curves = run_stack(runs, world, [], Recorder())
    for run in (run for run in runs if run.beta > 1):
        rows = curves[curves["run_id"] == run.run_id]
        assert rows["status"].tolist()[-1] == "diverged"
        assert (rows["status"].iloc[:-1] == "ok").all()
        assert rows["gold"].iloc[:-1].notna().all()
        assert rows["gold"].isna().iloc[-1]
        assert rows["step"].iloc[-1] < 40


@pytest.mark.parametrize(("clip", "rate"), [(1.0, 0.002), (0.0, 0.001)])
def test_gradients_whose_squares_overflow_train_on(world: World, clip: float, rate: float) -> None:
    """exp(-150 rho) has gradients beyond 1e19, whose squares no float32 holds, and is finite itself."""
    runs = runs_of(loss=["exponential"], beta=[150.0], seeds=3, train={"learning_rate": rate, "clip": clip})
    curves = run_stack(runs, world, [], Recorder())
    assert set(curves["status"]) == {"ok"}
    assert curves["train_loss"].max() > 1e12


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_one_step_of_any_schedule_moves(world: World, schedule: str) -> None:
    train = {"steps": 1, "checkpoints": 2, "schedule": schedule}
    curves = run_stack(runs_of(loss=["logistic"], beta=[0.1], seeds=1, train=train), world, [], Recorder())
    constant = runs_of(loss=["logistic"], beta=[0.1], seeds=1, train={"steps": 1, "checkpoints": 2})
    assert curves["kl"].iloc[-1] > 1e-4
    assert curves["kl"].iloc[-1] == run_stack(constant, world, [], Recorder())["kl"].iloc[-1]


def test_beta_to_infinity_returns_the_reference(world: World) -> None:
    train = {"steps": 400, "batch": 48, "schedule": "cosine", "learning_rate": 1e-4}
    runs = runs_of(loss=list(LOSSES), beta=[0.1, 10.0, 1000.0], seeds=1, train=train)
    curves = run_stack(runs, world, [], Recorder())
    for _, rows in curves[curves["step"] == 400].groupby("loss"):
        kl = rows.set_index("beta")["kl"]
        assert kl[0.1] > 5 * kl[10.0] > 25 * kl[1000.0]
        assert kl[1000.0] < 1e-3


def test_checkpoints_are_evenly_spaced_in_the_logarithm() -> None:
    steps = checkpoint_steps(10_000, 12)
    assert steps[:2] == [0, 1]
    assert steps[-1] == 10_000
    assert len(steps) == 12
    ratio = np.diff(np.log(steps[3:]))
    assert ratio.max() / ratio.min() < 1.2


@pytest.mark.parametrize(("steps", "count"), [(1, 2), (5, 24), (10, 11), (10, 10), (600, 24), (30, 29)])
def test_checkpoints_are_as_many_as_asked_where_there_are_steps(steps: int, count: int) -> None:
    chosen = checkpoint_steps(steps, count)
    assert len(chosen) == min(count, steps + 1)
    assert chosen[0] == 0
    assert chosen[-1] == steps
    assert (np.diff(chosen) > 0).all()
