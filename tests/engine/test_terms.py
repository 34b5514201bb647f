"""Terms of KTO, VPO and GANPO in the training engine, against closed forms over all responses."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit
from torch import Tensor

import simulator as sim
from simulator.engine.gradient_steps import add_terms, advance, loss_and_gradient, losses_on_pairs, start
from simulator.methods.algorithms.pairwise_training import make_problem
from simulator.preferences.labelling import preferences
from simulator.sweeps.grid import expand
from tests.conftest import small_sweep


def stack_of(lab: sim.World, names: list[str], **tables: dict[str, object]) -> tuple:
    """Two runs of each of these losses, what they train on, and their pairs."""
    train = {"steps": 12, "batch": 15}
    runs = expand(small_sweep(sweep={"loss": names, "beta": [0.3], "seeds": 2}, train=train, **tables))
    pairs = preferences(runs, lab.simulated, None)
    return runs, make_problem(runs, lab.simulated, pairs), pairs


def log_law(lab: sim.World, parameters: Tensor) -> Tensor:
    """log pi of every response, [R, P, G]."""
    table = pd.DataFrame({"run_id": [str(row) for row in range(len(parameters))]})
    everything = lab.responses.expand(len(lab.prompts), -1, -1)
    return lab.policies(parameters, table).log_prob(lab.prompts, everything)


def reverse_kl(lab: sim.World, parameters: Tensor) -> Tensor:
    """KL(pi_ref || pi) by summing over all responses, mean over prompts, [R]."""
    reference = log_law(lab, lab.reference.parameters)
    return (reference.exp() * (reference - log_law(lab, parameters))).sum(dim=-1).mean(dim=-1)


def moved_from(lab: sim.World, runs: int, scale: float = 0.2, seed: int = 3) -> Tensor:
    reference = lab.reference.parameters
    return reference + scale * torch.randn(runs, reference.shape[1], generator=torch.Generator().manual_seed(seed))


def test_kto_in_the_engine_reads_the_responses_at_the_prompt_before(lab: sim.World) -> None:
    _, problem, pairs = stack_of(lab, ["kto"])
    moved = moved_from(lab, 2, seed=0)
    chosen = torch.tensor([[3, 1, 8], [0, 2, 5]])
    loss, _ = loss_and_gradient(moved, problem, chosen)
    log_ratio = log_law(lab, moved) - log_law(lab, lab.reference.parameters)
    for row in range(2):
        prompt, said = pairs.prompt[row, chosen[row]], pairs.responses[row, chosen[row]]
        number = (said * torch.tensor([16, 4, 1])).sum(dim=2)

        def ratio(prompts: Tensor, row: int = row, number: Tensor = number) -> np.ndarray:
            return log_ratio[row][prompts.unsqueeze(1), number].numpy()

        origin = max(0.0, ratio(prompt.roll(1)).mean())
        s_w, s_l = ratio(prompt).T
        expected = expit(-0.3 * (s_w - origin)) + expit(-0.3 * (origin - s_l))
        assert loss[row].item() == pytest.approx(expected.mean(), rel=1e-4)


def test_vpo_calibrated_by_the_reference_is_dpo_and_the_reverse_kl(lab: sim.World) -> None:
    """L = DPO + alpha beta KL(pi_ref || pi), value and gradient, with all prompts in each step."""
    _, problem, _ = stack_of(lab, ["vpo"], objective={"vpo": {"alpha": 0.7, "prompts": 3}})
    _, plain, _ = stack_of(lab, ["logistic"])
    state = replace(start(problem.reference, 2, problem), parameters=moved_from(lab, 2))
    loss, gradient = loss_and_gradient(state.parameters, problem, None)
    dpo = loss_and_gradient(state.parameters, plain, None)[0]
    assert torch.equal(loss, dpo)
    before = gradient.clone()
    add_terms(loss, gradient, state, problem, None, problem.learning_rate)
    assert (loss - dpo).numpy() == pytest.approx(0.7 * 0.3 * reverse_kl(lab, state.parameters).numpy(), rel=1e-4)
    direction = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(4))
    high, low = (reverse_kl(lab, state.parameters.double() + step * direction) for step in (1e-5, -1e-5))
    expected = 0.7 * 0.3 * (high - low) / 2e-5
    assert ((gradient - before) * direction).sum(dim=1).numpy() == pytest.approx(expected.numpy(), rel=1e-2)


def test_vpo_takes_its_expectation_at_some_prompts_of_each_step_and_at_all_of_them_in_turn(lab: sim.World) -> None:
    state = moved_from(lab, 1)
    expectation = lab.simulated.under_reference([0])
    each = [expectation.gradient(state, [5], slice(0, 1), step=step, prompts=1) for step in (1, 2, 3)]
    whole = expectation.gradient(state, [5], slice(0, 1), step=1, prompts=3)
    for part in (0, 1):
        mean = torch.stack([found[part] for found in each]).mean(dim=0)
        assert mean.numpy() == pytest.approx(whole[part].numpy(), rel=1e-4, abs=1e-6)
    assert whole[0].item() == pytest.approx(-reverse_kl(lab, state.expand(2, -1))[0].item(), rel=1e-4)


def test_where_responses_are_not_listed_the_expectation_is_a_mean_over_draws_of_the_reference(
    lab: sim.World,
) -> None:
    tables = {"world": {"kind": "sampled"}, "measure": {"samples": 4, "baseline": 16}}
    sampled = sim.make_world(small_sweep(**tables))
    assert torch.equal(sampled.reference.parameters, lab.reference.parameters)
    state = moved_from(sampled, 2, 0.1).double()
    drawn = sampled.simulated.under_reference([0, 1])
    exact = -reverse_kl(lab, state.float())
    assert drawn.value(state, slice(0, 2)).numpy() == pytest.approx(exact.numpy(), rel=0.15)
    value, gradient = drawn.gradient(state, [0, 1], slice(0, 2), step=1, prompts=1024)
    assert value.numpy() == pytest.approx(drawn.value(state, slice(0, 2)).numpy(), rel=1e-4)
    direction = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(4))
    high, low = (drawn.value(state + step * direction, slice(0, 2)) for step in (1e-6, -1e-6))
    assert (gradient * direction).sum(dim=1).numpy() == pytest.approx(((high - low) / 2e-6).numpy(), rel=1e-3)


def test_optimism_drives_the_policy_away_from_what_it_is_calibrated_by(lab: sim.World) -> None:
    kls, data = {}, [lab.preferences(seed=seed) for seed in (0, 1)]
    for stance in ("pessimistic", "optimistic"):
        own = {f"objective.vpo.{key}": value for key, value in {"alpha": 2.0, "stance": stance, "prompts": 3}.items()}
        policies = sim.train(lab, data, loss="vpo", beta=0.3, seed=[0, 1], steps=40, batch=15, settings=own)
        kls[stance] = reverse_kl(lab, policies.parameters)
    assert (kls["optimistic"] > 2 * kls["pessimistic"]).all()


def test_the_loss_on_pairs_is_the_loss_that_is_trained(lab: sim.World) -> None:
    """With all pairs in one batch, and KTO's neighbours the same, what is measured is what a step would minimize."""
    names = ["ganpo", "ganpo_l2", "kto", "vpo", "rpo_forward", "simper"]
    runs, problem, pairs = stack_of(lab, names, objective={"vpo": {"prompts": 3}})
    state = advance(start(problem.reference, len(runs), problem), problem, 3)
    _, ratios = lab.simulated.measure(state.parameters, pairs, lab.settings.data)
    loss, gradient = loss_and_gradient(state.parameters, problem, None)
    add_terms(loss, gradient, state, problem, None, problem.learning_rate)  # discriminators learn, and then judge
    measured, _ = losses_on_pairs(state, problem, ratios)
    assert measured.numpy() == pytest.approx(loss.numpy(), rel=1e-4)
    again, _ = losses_on_pairs(state, problem, ratios)
    assert torch.equal(measured, again)  # measuring taught nobody anything


def test_runs_of_one_objective_may_differ_in_its_numbers_within_a_stack(lab: sim.World) -> None:
    grid = {"loss": "vpo", "beta": [0.3], "seeds": 1, "objective.vpo.alpha": [0.01, 1.0]}
    runs = expand(small_sweep(sweep=grid, train={"steps": 5}))
    assert len({run.stack_key for run in runs}) == 1
    problem = make_problem(runs, lab.simulated, preferences(runs, lab.simulated, None))
    assert [part.rows for part in problem.parts] == [2]
    assert problem.parts[0].hyperparameters["alpha"].flatten().tolist() == pytest.approx([0.01, 1.0])
