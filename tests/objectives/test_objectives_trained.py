"""Objectives in the training engine: stacks of all of them, and the terms of VPO and GANPO against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch import Tensor

from simulator.engine.gradient_steps import (
    add_terms,
    advance,
    batch_contexts,
    loss_and_gradient,
    losses_on_pairs,
    start,
)
from simulator.engine.problem import TrainingProblem, TrainState, take
from simulator.methods.algorithms.pairwise_training import make_problem
from simulator.networks.parameters import unstack
from simulator.networks.transformer import response_states, token_log_probs
from simulator.objectives import OBJECTIVES
from simulator.objectives import discriminators as ganpo
from simulator.objectives.objective import BatchContext
from simulator.preferences.labelling import preferences
from simulator.settings.run import Run
from simulator.sweeps.grid import expand
from simulator.worlds.build import build_world
from simulator.worlds.enumerable import EnumerableWorld
from simulator.worlds.protocol import World
from tests.conftest import small_sweep


def stack_of(world: World, names: list[str], **tables: dict[str, object]) -> tuple[list[Run], TrainingProblem]:
    train = {"steps": 12, "batch": 15} | tables.pop("train", {})
    runs = expand(small_sweep(sweep={"loss": names, "beta": [0.3], "seeds": 2}, train=train, **tables))
    return runs, make_problem(runs, world, preferences(runs, world, None))


def test_every_objective_has_the_same_bits_alone_and_in_a_stack(world: World) -> None:
    names = [name for name, objective in OBJECTIVES.items() if not objective.ranked]
    runs, problem = stack_of(world, names)
    assert len({run.stack_key for run in runs}) == 1
    together = advance(start(world.reference, len(runs), problem), problem, 12)
    for row, run in enumerate(runs):
        own = make_problem([run], world, preferences([run], world, None))
        alone = advance(start(world.reference, 1, own), own, 12)
        assert torch.equal(alone.parameters[0], together.parameters[row]), run.run_id
    moved = (together.parameters - world.reference).abs().max(dim=1).values
    assert (moved > 1e-3).all()


def test_a_stack_of_ranked_responses_stands_apart_and_has_the_same_bits(world: World) -> None:
    runs, problem = stack_of(world, ["rpo_loo"], objective={"rpo": {"responses": 3}})
    assert problem.responses.shape[2] == 3
    assert (problem.scores.diff(dim=2) <= 0).all()
    together = advance(start(world.reference, 2, problem), problem, 12)
    own = make_problem(runs[:1], world, preferences(runs[:1], world, None))
    alone = advance(start(world.reference, 1, own), own, 12)
    assert torch.equal(alone.parameters[0], together.parameters[0])
    apart = expand(small_sweep(sweep={"loss": ["rpo_loo", "rpo_squared"], "seeds": 1}))
    assert len({run.stack_key for run in apart}) == 2


def test_advancing_in_pieces_is_advancing_at_once(world: World) -> None:
    names = ["ganpo", "vpo", "kto"]
    runs, problem = stack_of(world, names)
    whole = advance(start(world.reference, len(runs), problem), problem, 12)
    pieces = start(world.reference, len(runs), problem)
    for steps in (1, 4, 7):
        pieces = advance(pieces, problem, steps)
    assert torch.equal(whole.parameters, pieces.parameters)


def test_kto_in_the_engine_reads_the_responses_at_the_prompt_before(world: World) -> None:
    runs, problem = stack_of(world, ["kto"])
    moved = world.reference + 0.2 * torch.randn(2, len(world.reference), generator=torch.Generator().manual_seed(0))
    chosen = torch.tensor([[3, 1, 8], [0, 2, 5]])
    loss, _ = loss_and_gradient(moved, problem, chosen)
    pairs = preferences(runs, world, None)
    log_law = world._laws(moved, alone=False)
    for row in range(2):
        prompt, said = pairs.prompt[row, chosen[row]], pairs.responses[row, chosen[row]]
        number = (said * torch.tensor([16, 4, 1])).sum(dim=2)

        def ratio(prompts: Tensor, row: int = row, number: Tensor = number) -> np.ndarray:
            return (log_law[row] - world.reference_log_probs)[prompts.unsqueeze(1), number].numpy()

        origin = max(0.0, ratio(prompt.roll(1)).mean())
        s_w, s_l = ratio(prompt).T
        expected = expit(-0.3 * (s_w - origin)) + expit(-0.3 * (origin - s_l))
        assert loss[row].item() == pytest.approx(expected.mean(), rel=1e-4)


def moved_from(world: World, runs: int, scale: float = 0.2) -> Tensor:
    noise = torch.randn(runs, len(world.reference), generator=torch.Generator().manual_seed(3))
    return world.reference + scale * noise


def at(parameters: Tensor, problem: TrainingProblem) -> TrainState:
    """The problem's beginning, with these parameters."""
    return replace(start(problem.reference, len(parameters), problem), parameters=parameters)


def reverse_kl(world: EnumerableWorld, parameters: Tensor) -> Tensor:
    """KL(pi_ref || pi) by summing over all responses, mean over prompts, [R]."""
    log_law = world._laws(parameters, alone=False)
    return (world.reference_log_probs.exp() * (world.reference_log_probs - log_law)).sum(dim=-1).mean(dim=-1)


def test_vpo_calibrated_by_the_reference_is_dpo_and_the_reverse_kl(world: World) -> None:
    """L = DPO + alpha beta KL(pi_ref || pi), value and gradient, with all prompts in each step."""
    _, problem = stack_of(world, ["vpo"], objective={"vpo": {"alpha": 0.7, "prompts": 3}})
    _, plain = stack_of(world, ["logistic"])
    state = at(moved_from(world, 2), problem)
    loss, gradient = loss_and_gradient(state.parameters, problem, None)
    dpo = loss_and_gradient(state.parameters, plain, None)[0]
    assert torch.equal(loss, dpo)
    before = gradient.clone()
    add_terms(loss, gradient, state, problem, None, problem.learning_rate)
    assert (loss - dpo).numpy() == pytest.approx(0.7 * 0.3 * reverse_kl(world, state.parameters).numpy(), rel=1e-4)
    direction = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(4))
    high, low = (reverse_kl(world, state.parameters.double() + step * direction) for step in (1e-5, -1e-5))
    expected = 0.7 * 0.3 * (high - low) / 2e-5
    assert ((gradient - before) * direction).sum(dim=1).numpy() == pytest.approx(expected.numpy(), rel=1e-2)


def test_vpo_takes_its_expectation_at_some_prompts_of_each_step_and_at_all_of_them_in_turn(world: World) -> None:
    state = moved_from(world, 1)
    expectation = world.under_reference([0])
    each = [expectation.gradient(state, [5], slice(0, 1), step=step, prompts=1) for step in (1, 2, 3)]
    whole = expectation.gradient(state, [5], slice(0, 1), step=1, prompts=3)
    for part in (0, 1):
        mean = torch.stack([found[part] for found in each]).mean(dim=0)
        assert mean.numpy() == pytest.approx(whole[part].numpy(), rel=1e-4, abs=1e-6)
    assert whole[0].item() == pytest.approx(-reverse_kl(world, state.expand(2, -1))[0].item(), rel=1e-4)


def test_where_responses_are_not_listed_the_expectation_is_a_mean_over_draws_of_the_reference() -> None:
    tables = {"world": {"kind": "sampled"}, "measure": {"samples": 4, "baseline": 16}}
    sampled, listed = build_world(small_sweep(**tables)), build_world(small_sweep())
    assert torch.equal(sampled.reference, listed.reference)
    state = moved_from(sampled, 2, 0.1).double()
    drawn = sampled.under_reference([0, 1])
    exact = -reverse_kl(listed, state.float())
    assert drawn.value(state, slice(0, 2)).numpy() == pytest.approx(exact.numpy(), rel=0.15)
    value, gradient = drawn.gradient(state, [0, 1], slice(0, 2), step=1, prompts=1024)
    assert value.numpy() == pytest.approx(drawn.value(state, slice(0, 2)).numpy(), rel=1e-4)
    direction = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(4))
    high, low = (drawn.value(state + step * direction, slice(0, 2)) for step in (1e-6, -1e-6))
    assert (gradient * direction).sum(dim=1).numpy() == pytest.approx(((high - low) / 2e-6).numpy(), rel=1e-3)


def test_optimism_drives_the_policy_away_from_what_it_is_calibrated_by(world: World) -> None:
    kls = {}
    for stance in ("pessimistic", "optimistic"):
        own = {"vpo": {"alpha": 2.0, "stance": stance, "prompts": 3}}
        _, problem = stack_of(world, ["vpo"], objective=own, train={"steps": 40, "learning_rate": 0.01})
        state = advance(start(world.reference, 2, problem), problem, 40)
        kls[stance] = reverse_kl(world, state.parameters)
    assert (kls["optimistic"] > 2 * kls["pessimistic"]).all()


def test_the_loss_on_pairs_is_the_loss_that_is_trained(world: World) -> None:
    """With all pairs in one batch, and KTO's neighbours the same, what is measured is what a step would minimize."""
    runs, problem = stack_of(
        world, ["ganpo", "ganpo_l2", "kto", "vpo", "rpo_forward", "simper"], objective={"vpo": {"prompts": 3}}
    )
    state = advance(start(world.reference, len(runs), problem), problem, 3)
    pairs = preferences(runs, world, None)
    _, ratios = world.measure(state.parameters, pairs, runs[0].settings.data)
    measured, _ = losses_on_pairs(state, problem, ratios)
    loss, _ = loss_and_gradient(state.parameters, problem, None)
    for number, term, context in batch_contexts(
        state.parameters, problem, take(problem, None), 4, problem.learning_rate
    ):
        loss[context.rows] += term.value(context, state.memory[number]).float()
    assert measured.numpy() == pytest.approx(loss.numpy(), rel=1e-4)
    again, _ = losses_on_pairs(state, problem, ratios)
    assert torch.equal(measured, again)  # measuring taught nobody anything


def scene_of(world: World, name: str, parameters: Tensor | None = None) -> tuple[BatchContext, TrainState]:
    _, problem = stack_of(world, [name])
    state = at(world.reference.expand(2, -1).clone() if parameters is None else parameters, problem)
    _, _, context = next(batch_contexts(state.parameters, problem, take(problem, None), 1, problem.learning_rate))
    return context, state


def test_hidden_states_are_what_tokens_are_predicted_from(world: World) -> None:
    context, _ = scene_of(world, "ganpo", moved_from(world, 2))
    blocks = unstack(context.parameters, world.architecture)
    given = (world.architecture, context.packing, context.prompts, context.responses)
    states = response_states(blocks, *given)
    logits = torch.einsum("rnktd,rdv->rnktv", states, blocks["unembed"])
    log_probs = logits.log_softmax(dim=-1).gather(4, context.responses.unsqueeze(4))[..., 0]
    assert log_probs.numpy() == pytest.approx(token_log_probs(blocks, *given).numpy(), abs=1e-5)


def bce(logit: Tensor, real: float) -> Tensor:
    return torch.nn.functional.binary_cross_entropy_with_logits(logit, torch.full_like(logit, real))


def test_the_adversarial_losses_are_those_of_the_paper(world: World) -> None:
    """Written again with torch's own BCE, one discriminator after the other."""
    context, state = scene_of(world, "ganpo", moved_from(world, 2))
    memory = state.memory[0]
    states, said = ganpo.states_of(unstack(context.parameters, world.architecture), context)
    known = ganpo.reference_states(context)
    means = torch.randn(4, 3, 1, generator=torch.Generator().manual_seed(1))
    weights = ganpo.weights_of(memory["discriminators"], world.architecture, 3)

    def score(label: int, run: int, h: Tensor) -> Tensor:
        row = slice(2 * label + run, 2 * label + run + 1)
        return ganpo.discriminate(
            {name: w[row] for name, w in weights.items()}, world.architecture, h[None], said[row]
        )[0]

    scores = torch.stack(
        [
            torch.stack(
                [
                    score(label, run, states[2 * label + run]),
                    score(label, run, known[2 * label + run]),
                    score(label, run, known[2 * (1 - label) + run]),
                ]
            )
            for label in (0, 1)
            for run in (0, 1)
        ]
    )
    expected = torch.stack(
        [
            (bce(own - m[0], 1) + bce(policy - m[1], 0) + bce(policy - m[2], 1) + bce(other - m[0], 0)) / 4
            for (policy, own, other), m in zip(scores, means, strict=True)
        ]
    )
    assert ganpo.discriminator_loss(scores, means).numpy() == pytest.approx(expected.numpy(), rel=1e-5)
    frozen = {**memory, "means": means}
    both = [[bce(scores[2 * label + run][0] - means[2 * label + run][1], 1) for label in (0, 1)] for run in (0, 1)]
    assert OBJECTIVES["ganpo"].term(context.hyperparameters).value(context, frozen).numpy() == pytest.approx(
        [sum(pair).item() / 2 for pair in both], rel=1e-5
    )


@pytest.mark.parametrize("name", ["ganpo", "ganpo_frozen", "ganpo_l2"])
def test_the_gradient_of_a_term_on_hidden_states_agrees_with_finite_differences(world: World, name: str) -> None:
    context, state = scene_of(world, name, moved_from(world, 2))
    term, memory = OBJECTIVES[name].term(context.hyperparameters), state.memory[0]
    memory = {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in memory.items()}
    context = replace(context, parameters=context.parameters.double(), reference=context.reference.double())
    value, gradient = term.step(context, memory)  # the discriminators have learned once; they rest from here on
    assert value.numpy() == pytest.approx(term.value(context, memory).numpy(), rel=1e-6)
    direction = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(4))
    high, low = (
        term.value(replace(context, parameters=context.parameters + step * direction), memory) for step in (1e-6, -1e-6)
    )
    assert (gradient * direction).sum(dim=1).numpy() == pytest.approx(((high - low) / 2e-6).numpy(), rel=1e-3)


def test_the_moving_average_begins_with_the_first_batch_and_frozen_discriminators_stay(world: World) -> None:
    for name, learns in (("ganpo", True), ("ganpo_frozen", False)):
        context, state = scene_of(world, name, moved_from(world, 2))
        memory = state.memory[0]
        first = memory["discriminators"].clone()
        OBJECTIVES[name].term(context.hyperparameters).step(context, memory)
        assert torch.equal(memory["discriminators"], first) != learns
        once = memory["means"].clone()
        assert (once != 0).all()
        OBJECTIVES[name].term(context.hyperparameters).step(context, memory)
        if not learns:  # the same batch has the same scores
            assert memory["means"].numpy() == pytest.approx(once.numpy(), rel=1e-5)


def test_the_l2_control_is_nothing_at_the_reference(world: World) -> None:
    context, state = scene_of(world, "ganpo_l2")
    value, gradient = OBJECTIVES["ganpo_l2"].term(context.hyperparameters).step(context, state.memory[0])
    assert value.numpy() == pytest.approx(0.0, abs=1e-10)
    assert gradient.abs().max() < 1e-6


def test_on_policy_the_adversarial_regularizer_is_flat_at_the_reference(world: World) -> None:
    """At pi = pi_ref, with labels that say nothing, indifferent discriminators are at rest, and so is the policy.

    On-policy and unlabelled, chosen and rejected responses have one law, and policy and reference the same states.
    Discriminators that score all alike are then stationary for L_D, and the regularizer they make has no gradient.
    """
    context, state = scene_of(world, "ganpo")
    both = {
        "prompts": context.prompts.repeat(1, 2, 1),
        "responses": torch.cat([context.responses, context.responses.flip(2)], 1),
    }
    unlabelled = replace(context, **both)
    memory = state.memory[0]
    weights = {
        name: (torch.zeros_like(w) if name == "score" else w).clone().requires_grad_()
        for name, w in ganpo.weights_of(memory["discriminators"], world.architecture, 3).items()
    }
    states, said = ganpo.states_of(unstack(context.parameters, world.architecture), unlabelled)
    known = ganpo.reference_states(unlabelled)
    assert states.numpy() == pytest.approx(known.numpy(), abs=1e-6)
    inputs = torch.cat([states, known, ganpo.other_label(known)], dim=1)
    scores = ganpo.discriminate(weights, world.architecture, inputs, said.repeat(1, 3, 1)).unflatten(1, (3, -1))
    loss = ganpo.discriminator_loss(scores, torch.zeros(4, 3, 1))
    gradients = torch.autograd.grad(loss.sum(), list(weights.values()))
    assert max(gradient.abs().max().item() for gradient in gradients) < 1e-6

    blocks = {name: w.detach().requires_grad_() for name, w in unstack(context.parameters, world.architecture).items()}
    moving, _ = ganpo.states_of(blocks, unlabelled)
    indifferent = {name: w.detach() for name, w in weights.items()}
    value = ganpo.regularizer(indifferent, unlabelled, memory, moving, said)
    slopes = torch.autograd.grad(value.sum(), list(blocks.values()), allow_unused=True)
    assert all(slope is None or slope.abs().max() == 0 for slope in slopes)

    labelled, _ = ganpo.states_of(unstack(context.parameters, world.architecture), context)
    lopsided = torch.cat(
        [labelled, ganpo.reference_states(context), ganpo.other_label(ganpo.reference_states(context))], dim=1
    )
    scores = ganpo.discriminate(weights, world.architecture, lopsided, said[:, :48].repeat(1, 3, 1)).unflatten(
        1, (3, -1)
    )
    loss = ganpo.discriminator_loss(scores, torch.zeros(4, 3, 1))
    pulled = torch.autograd.grad(loss.sum(), list(weights.values()))
    assert max(gradient.abs().max().item() for gradient in pulled) > 1e-3  # real labels set them moving


def test_the_value_of_the_game_is_flat_at_the_reference_and_curves_up_from_it() -> None:
    """On a table: the best relativistic discriminator of two laws makes a divergence with its least value at pi_ref."""
    rng = np.random.default_rng(0)
    reference = torch.from_numpy(rng.dirichlet(np.ones(6)))
    direction = torch.from_numpy(rng.normal(size=6))
    direction -= direction.mean()

    def game(step: float) -> float:
        law = reference + step * direction * reference.min()
        scores = torch.zeros(6, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([scores], max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-15)

        def loss() -> Tensor:
            apart_from_policy = scores - (law * scores).sum()
            apart_from_reference = scores - (reference * scores).sum()
            softplus = torch.nn.functional.softplus
            return (reference * softplus(-apart_from_policy)).sum() + (law * softplus(apart_from_reference)).sum()

        def closure() -> Tensor:
            optimizer.zero_grad()
            value = loss()
            value.backward()
            return value

        optimizer.step(closure)
        return 2 * np.log(2) - loss().item()

    steps = np.array([0.0, 0.05, 0.1, 0.2])
    values = np.array([game(step) for step in steps])
    assert values[0] == pytest.approx(0, abs=1e-9)
    assert values[1:] / steps[1:] ** 2 == pytest.approx(values[3] / steps[3] ** 2, rel=0.15)


def test_runs_of_one_objective_may_differ_in_its_numbers_within_a_stack(world: World) -> None:
    sweep = small_sweep(
        sweep={"loss": "vpo", "beta": [0.3], "seeds": 1, "objective.vpo.alpha": [0.01, 1.0]}, train={"steps": 5}
    )
    runs: list[Run] = expand(sweep)
    assert len({run.stack_key for run in runs}) == 1
    problem = make_problem(runs, world, preferences(runs, world, None))
    assert [part.rows for part in problem.parts] == [2]
    assert problem.parts[0].hyperparameters["alpha"].flatten().tolist() == pytest.approx([0.01, 1.0])
