"""The terms of GANPO on hidden states against the paper's losses, finite differences and what is flat."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import simulator as sim
from simulator.networks.packing import packing
from simulator.objectives import discriminators as ganpo
from simulator.objectives.objective import BatchContext

Memory = dict[str, Tensor]


def moved_from(lab: sim.World) -> Tensor:
    reference = lab.reference.parameters
    return reference + 0.2 * torch.randn(2, reference.shape[1], generator=torch.Generator().manual_seed(3))


def scene_of(lab: sim.World, name: str, parameters: Tensor | None = None) -> tuple[BatchContext, Memory]:
    """All pairs of two runs at these parameters, the reference's unless given, and what the term begins with."""
    pairs, reference = [lab.preferences(seed=seed) for seed in (0, 1)], lab.reference
    own = {
        key: torch.full((2, 1), parameter.default) if isinstance(parameter.default, float) else parameter.default
        for key, parameter in sim.OBJECTIVES[name].parameters.items()
    }
    context = BatchContext(
        architecture=reference.architecture,
        packing=packing(prompt_length=2, response_length=3, responses=2, device=torch.device("cpu")),
        parameters=reference.parameters.repeat(2, 1) if parameters is None else parameters,
        reference=reference.parameters[0],
        prompts=torch.stack([some.prompts for some in pairs]),
        responses=torch.stack([some.responses for some in pairs]),
        hyperparameters=own,
        beta=torch.full((2, 1), 0.3),
        rate=torch.full((2, 1), 0.01),
        seeds=(0, 1),
        rows=slice(0, 2),
        step=1,
        online=False,
        under_reference=None,
    )
    return context, sim.OBJECTIVES[name].term(own).start(context)


def bce(logit: Tensor, real: float) -> Tensor:
    return torch.nn.functional.binary_cross_entropy_with_logits(logit, torch.full_like(logit, real))


def test_the_adversarial_losses_are_those_of_the_paper(lab: sim.World) -> None:
    """Written again with torch's own BCE, one discriminator after the other."""
    context, memory = scene_of(lab, "ganpo", moved_from(lab))
    states, said = ganpo.states_of(context.parameters, context)
    known = ganpo.reference_states(context)
    means = torch.randn(4, 3, 1, generator=torch.Generator().manual_seed(1))
    weights = ganpo.weights_of(memory["discriminators"], context.architecture, 3)

    def score(label: int, run: int, h: Tensor) -> Tensor:
        row = slice(2 * label + run, 2 * label + run + 1)
        return ganpo.discriminate(
            {name: w[row] for name, w in weights.items()}, context.architecture, h[None], said[row]
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
    assert sim.OBJECTIVES["ganpo"].term(context.hyperparameters).value(context, frozen).numpy() == pytest.approx(
        [sum(pair).item() / 2 for pair in both], rel=1e-5
    )


@pytest.mark.parametrize("name", ["ganpo", "ganpo_frozen", "ganpo_l2"])
def test_the_gradient_of_a_term_on_hidden_states_agrees_with_finite_differences(lab: sim.World, name: str) -> None:
    context, memory = scene_of(lab, name, moved_from(lab))
    term = sim.OBJECTIVES[name].term(context.hyperparameters)
    memory = {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in memory.items()}
    context = replace(context, parameters=context.parameters.double(), reference=context.reference.double())
    value, gradient = term.step(context, memory)  # the discriminators have learned once; they rest from here on
    assert value.numpy() == pytest.approx(term.value(context, memory).numpy(), rel=1e-6)
    direction = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(4))
    high, low = (
        term.value(replace(context, parameters=context.parameters + step * direction), memory) for step in (1e-6, -1e-6)
    )
    assert (gradient * direction).sum(dim=1).numpy() == pytest.approx(((high - low) / 2e-6).numpy(), rel=1e-3)


def test_the_moving_average_begins_with_the_first_batch_and_frozen_discriminators_stay(lab: sim.World) -> None:
    for name, learns in (("ganpo", True), ("ganpo_frozen", False)):
        context, memory = scene_of(lab, name, moved_from(lab))
        first = memory["discriminators"].clone()
        sim.OBJECTIVES[name].term(context.hyperparameters).step(context, memory)
        assert torch.equal(memory["discriminators"], first) != learns
        once = memory["means"].clone()
        assert (once != 0).all()
        sim.OBJECTIVES[name].term(context.hyperparameters).step(context, memory)
        if not learns:  # the same batch has the same scores
            assert memory["means"].numpy() == pytest.approx(once.numpy(), rel=1e-5)


def test_the_l2_control_is_nothing_at_the_reference(lab: sim.World) -> None:
    context, memory = scene_of(lab, "ganpo_l2")
    value, gradient = sim.OBJECTIVES["ganpo_l2"].term(context.hyperparameters).step(context, memory)
    assert value.numpy() == pytest.approx(0.0, abs=1e-10)
    assert gradient.abs().max() < 1e-6


def test_on_policy_the_adversarial_regularizer_is_flat_at_the_reference(lab: sim.World) -> None:
    """At pi = pi_ref, with labels that say nothing, indifferent discriminators are at rest, and so is the policy.

    On-policy and unlabelled, chosen and rejected responses have one law, and policy and reference the same states.
    Discriminators that score all alike are then stationary for L_D, and the regularizer they make has no gradient.
    """
    context, memory = scene_of(lab, "ganpo")
    both = {
        "prompts": context.prompts.repeat(1, 2, 1),
        "responses": torch.cat([context.responses, context.responses.flip(2)], 1),
    }
    unlabelled = replace(context, **both)
    weights = {
        name: (torch.zeros_like(w) if name == "score" else w).clone().requires_grad_()
        for name, w in ganpo.weights_of(memory["discriminators"], context.architecture, 3).items()
    }
    states, said = ganpo.states_of(context.parameters, unlabelled)
    known = ganpo.reference_states(unlabelled)
    assert states.numpy() == pytest.approx(known.numpy(), abs=1e-6)
    inputs = torch.cat([states, known, ganpo.other_label(known)], dim=1)
    scores = ganpo.discriminate(weights, context.architecture, inputs, said.repeat(1, 3, 1)).unflatten(1, (3, -1))
    loss = ganpo.discriminator_loss(scores, torch.zeros(4, 3, 1))
    gradients = torch.autograd.grad(loss.sum(), list(weights.values()))
    assert max(gradient.abs().max().item() for gradient in gradients) < 1e-6

    rows = context.parameters.detach().requires_grad_()
    moving, _ = ganpo.states_of(rows, unlabelled)
    indifferent = {name: w.detach() for name, w in weights.items()}
    value = ganpo.regularizer(indifferent, unlabelled, memory, moving, said)
    (slope,) = torch.autograd.grad(value.sum(), rows)
    assert slope.abs().max() == 0

    labelled, _ = ganpo.states_of(context.parameters, context)
    lopsided = torch.cat(
        [labelled, ganpo.reference_states(context), ganpo.other_label(ganpo.reference_states(context))], dim=1
    )
    scores = ganpo.discriminate(weights, context.architecture, lopsided, said[:, :48].repeat(1, 3, 1)).unflatten(
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
