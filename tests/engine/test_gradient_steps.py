"""The training engine against a plain single run, against itself stacked, and at the limits of beta."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import simulator as sim
from simulator.engine.batches import batch_order
from simulator.engine.gradient_steps import advance, loss_and_gradient, pair_blocks, start
from simulator.methods.algorithms.pairwise_training import make_problem, new_learner
from simulator.sweeps.grid import expand
from tests.conftest import small_sweep
from tests.helpers.plain_network import plain_log_probs


def trained(lab: sim.World, *, loss: Any, beta: Any, seeds: int, **train: Any) -> sim.Policies:
    """A stack over losses, betas and seeds, each seed with pairs of its own."""
    settings = {f"train.{key}": value for key, value in train.items()}
    pairs = [lab.preferences(seed=seed) for seed in range(seeds)]
    return sim.train(lab, pairs, loss=loss, beta=beta, seed=list(range(seeds)), settings=settings)


def alone(lab: sim.World, policy: Mapping[str, Any], **train: Any) -> sim.Policies:
    """One policy of a stack, trained by itself; policy: its row of the stack's table."""
    settings = {f"train.{key}": value for key, value in train.items()}
    seed = int(policy["seed"])
    found = sim.train(
        lab, lab.preferences(seed=seed), loss=policy["loss"], beta=policy["beta"], seed=seed, settings=settings
    )
    assert found.table["run_id"][0] == policy["run_id"]
    return found


def test_gradient_agrees_with_finite_differences(lab: sim.World) -> None:
    runs = expand(small_sweep(sweep={"loss": ["logistic", "squared"], "beta": [0.5], "seeds": 1}))
    problem = new_learner(runs, lab.simulated, []).problem
    problem = replace(problem, reference_log_probs=problem.reference_log_probs.double(), beta=problem.beta.double())
    generator = torch.Generator().manual_seed(0)
    (reference,) = lab.reference.parameters.double()
    parameters = reference.expand(2, -1) + 0.05 * torch.randn(
        2, len(reference), generator=generator, dtype=torch.float64
    )
    direction = torch.randn(parameters.shape, generator=generator, dtype=torch.float64)
    _, gradient = loss_and_gradient(parameters, problem, None)
    high, _ = loss_and_gradient(parameters + 1e-7 * direction, problem, None)
    low, _ = loss_and_gradient(parameters - 1e-7 * direction, problem, None)
    assert (gradient * direction).sum(dim=1).numpy() == pytest.approx(((high - low) / 2e-7).numpy(), rel=1e-5)


def train_plainly(lab: sim.World, loss: str, beta: float, seed: int, steps: int) -> Tensor:
    """One policy by torch's own optimizer and clipping, of a plain network; the parameters it ends with."""
    train, pairs, architecture = lab.settings.train, lab.preferences(seed=seed), lab.reference.architecture
    both = (pairs.chosen, pairs.rejected)
    reference = [lab.reference.log_prob(pairs.prompts, some.unsqueeze(1))[0, :, 0] for some in both]
    parameters = torch.nn.Parameter(lab.reference.parameters[0].clone())
    optimizer = torch.optim.Adam([parameters], lr=train.learning_rate)
    for at in torch.from_numpy(batch_order(seed, len(pairs), train.batch, 0, steps)):
        chosen, rejected = (
            plain_log_probs(parameters, architecture, pairs.prompts[at], some[at]) - known[at]
            for some, known in zip(both, reference, strict=True)
        )
        loss_value = sim.LOSSES[loss](beta * (chosen - rejected)).mean()
        optimizer.zero_grad()
        loss_value.backward()
        assert train.clip > 0
        torch.nn.utils.clip_grad_norm_([parameters], train.clip)
        optimizer.step()
    return parameters.detach()


def test_a_stack_trains_each_run_as_a_plain_loop_would(lab: sim.World) -> None:
    policies = trained(lab, loss=list(sim.LOSSES), beta=0.3, seeds=2, steps=15)
    assert len(policies) == 2 * len(sim.LOSSES)
    for policy, row in zip(policies.parameters, policies.table.to_dict("records"), strict=True):
        plain = train_plainly(lab, row["loss"], 0.3, row["seed"], 15)
        assert policy.numpy() == pytest.approx(plain.numpy(), abs=2e-4), row["run_id"]


def test_a_run_alone_and_in_a_stack_has_the_same_bits(lab: sim.World) -> None:
    train = {"batch": 15, "checkpoints": 3, "steps": 20}
    policies = trained(lab, loss=["logistic", "savage", "exponential"], beta=[0.05, 1.0], seeds=3, **train)
    assert len(policies) == 18
    for policy, row in zip(policies.parameters, policies.table.to_dict("records"), strict=True):
        assert torch.equal(alone(lab, row, **train).parameters[0], policy), row["run_id"]


def test_records_of_a_run_alone_and_in_a_stack_agree(lab: sim.World) -> None:
    policies = trained(lab, loss=["logistic", "savage"], beta=[0.05, 1.0], seeds=3)
    together = policies.curves
    numbers = together.select_dtypes("number").dropna(axis="columns", how="all").columns
    assert {"step", "kl", "gold", "train_loss"} < set(numbers)
    for row in policies.table.to_dict("records"):
        stacked = together[together["run_id"] == row["run_id"]]
        found = alone(lab, row).curves
        assert found[numbers].to_numpy() == pytest.approx(stacked[numbers].to_numpy(), rel=1e-4, abs=1e-6)


def test_advancing_in_pieces_is_advancing_at_once(lab: sim.World) -> None:
    train = {"steps": 30, "schedule": "cosine", "warmup": 3}
    whole, pieces = (
        trained(lab, loss="hinge", beta=[0.05, 0.5, 5.0], seeds=2, checkpoints=count, **train) for count in (3, 6)
    )
    assert sorted(set(whole.curves["step"])) == [0, 1, 30]
    assert max(pieces.curves["step"]) == 30
    assert len(set(pieces.curves["step"])) == 6
    assert torch.equal(whole.parameters, pieces.parameters)


def test_a_diverged_run_is_marked_and_its_neighbours_go_on_untouched(lab: sim.World) -> None:
    tame_rate = {"learning_rate": 0.001, "clip": 0.0, "steps": 30}
    policies = trained(lab, loss="exponential", beta=[0.1, 5e4], seeds=2, **tame_rate)
    calm = trained(lab, loss="exponential", beta=0.1, seeds=2, **tame_rate)
    ends = policies.curves.groupby("run_id")["status"].last()
    assert ends[policies.table["run_id"]].tolist() == ["ok", "ok", "diverged", "diverged"]
    assert torch.equal(policies.parameters[:2], calm.parameters)
    assert (~policies.parameters[2:].isfinite()).any(dim=1).all()

    fast = trained(lab, loss="exponential", beta=[0.1, 5e4], seeds=2, learning_rate=0.3, clip=0.0)
    wild = fast.curves[fast.curves["beta"] > 1]
    assert wild["run_id"].nunique() == 2
    for _, rows in wild.groupby("run_id"):
        assert rows["status"].tolist()[-1] == "diverged"
        assert (rows["status"].iloc[:-1] == "ok").all()
        assert rows["gold"].iloc[:-1].notna().all()
        assert rows["gold"].isna().iloc[-1]
        assert rows["step"].iloc[-1] < 40


@pytest.mark.parametrize(("clip", "rate"), [(1.0, 0.001), (0.0, 0.001)])  # twice that diverges on some processors
def test_gradients_whose_squares_overflow_train_on(lab: sim.World, clip: float, rate: float) -> None:
    """exp(-150 rho) has gradients beyond 1e19, whose squares no float32 holds, and is finite itself."""
    curves = trained(lab, loss="exponential", beta=150.0, seeds=3, learning_rate=rate, clip=clip).curves
    assert set(curves["status"]) == {"ok"}
    assert curves["train_loss"].max() > 1e12


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_one_step_of_any_schedule_moves(lab: sim.World, schedule: str) -> None:
    curves, constant = (
        trained(lab, loss="logistic", beta=0.1, seeds=1, steps=1, checkpoints=2, schedule=each).curves
        for each in (schedule, "constant")
    )
    assert curves["kl"].iloc[-1] > 1e-4
    assert curves["kl"].iloc[-1] == constant["kl"].iloc[-1]


@pytest.mark.slow
def test_beta_to_infinity_returns_the_reference(lab: sim.World) -> None:
    train = {"steps": 400, "batch": 48, "schedule": "cosine", "learning_rate": 1e-4}
    curves = trained(lab, loss=list(sim.LOSSES), beta=[0.1, 10.0, 1000.0], seeds=1, **train).curves
    ends = curves[curves["step"] == 400]
    assert set(ends["loss"]) == set(sim.LOSSES)
    for _, rows in ends.groupby("loss"):
        kl = rows.set_index("beta")["kl"]
        assert kl[0.1] > 5 * kl[10.0] > 25 * kl[1000.0]
        assert kl[1000.0] < 1e-3


def test_no_pair_is_read_alone() -> None:
    sizes = {pairs: [block.stop - block.start for block in pair_blocks(pairs)] for pairs in (1, 64, 65, 130)}
    assert sizes == {1: [1], 64: [64], 65: [65], 130: [64, 64, 2]}


def test_turns_of_fresh_pairs_have_orders_of_their_own(lab: sim.World) -> None:
    runs, here = expand(small_sweep(sweep={"loss": "logistic", "beta": [0.3], "seeds": 2})), lab.simulated
    pairs = new_learner(runs, here, []).pairs
    first, later = (make_problem(runs, here, pairs, turn=turn, began=0) for turn in (0, 1))
    state = advance(start(here.reference, 2), first, 5)
    other = advance(start(here.reference, 2), later, 5)
    assert not torch.equal(state.parameters, other.parameters)
    moved = replace(later, round_start_step=3)
    shifted = advance(replace(start(here.reference, 2), step=3), moved, 1)
    assert shifted.step == 4
