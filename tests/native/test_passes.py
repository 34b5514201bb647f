"""The compiled engine against torch's passes in float64, for odd sizes and every instruction set of this machine."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from simulator.native import calls
from simulator.networks import fused
from simulator.networks.architecture import Architecture
from simulator.networks.compute_mode import Computing, computing
from simulator.networks.listing.prefix_tree import leaf_scores, node_log_probs
from simulator.networks.packing import packing, whole_packing
from simulator.networks.parameters import initial_parameters
from simulator.networks.sampling import sample
from simulator.networks.transformer import response_states, sequence_scores, token_log_probs
from tests.helpers.engines import instructions as instructions
from tests.helpers.engines import needs_engine

pytestmark = needs_engine
CPU = torch.device("cpu")
VALUES, GRADIENTS = 1e-5, 1e-4


@dataclass(frozen=True, kw_only=True)
class Size:
    vocabulary: int
    layers: int
    width: int
    heads: int
    prompt: int
    length: int
    responses: int
    prompts: int
    runs: int

    @property
    def policy(self) -> Architecture:
        return Architecture(
            vocabulary=self.vocabulary,
            context=self.prompt + self.length - 1,
            layers=self.layers,
            width=self.width,
            heads=self.heads,
        )

    @property
    def judge(self) -> Architecture:
        return Architecture(
            vocabulary=self.vocabulary,
            context=self.prompt + self.length,
            layers=self.layers,
            width=self.width,
            heads=self.heads,
            outputs=1,
        )


def size(*numbers: int) -> Size:
    names = ("vocabulary", "layers", "width", "heads", "prompt", "length", "responses", "prompts", "runs")
    return Size(**dict(zip(names, numbers, strict=True)))


SIZES = [
    size(2, 1, 16, 1, 1, 1, 1, 1, 1),
    size(5, 1, 16, 16, 1, 1, 3, 2, 2),
    size(7, 2, 32, 4, 3, 4, 3, 5, 2),
    size(8, 1, 16, 2, 2, 4, 2, 33, 3),
    size(17, 1, 48, 3, 1, 5, 1, 16, 1),
    size(27, 3, 48, 6, 4, 6, 8, 7, 2),
    size(64, 2, 64, 4, 8, 16, 2, 18, 1),
    *(size(6, 1, 16, 1, 2, 3, responses, 4, 1) for responses in (1, 2, 4, 5, 6, 7, 8)),
]


@dataclass(frozen=True, kw_only=True)
class Case:
    size: Size
    policies: Tensor
    judges: Tensor
    prompts: Tensor
    responses: Tensor
    generator: torch.Generator

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator)


@pytest.fixture(params=SIZES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    at, rng = request.param, np.random.default_rng(0)
    generator = torch.Generator().manual_seed(1)
    responses = torch.randint(at.vocabulary, (at.runs, at.prompts, at.responses, at.length), generator=generator)
    if at.length > 2:
        responses[:, ::2, :, -1] = -1
    if at.length > 3:
        responses[:, ::3, 0, -2:] = -1

    def rows(architecture: Architecture) -> Tensor:
        return torch.stack([initial_parameters(architecture, rng) for _ in range(at.runs)]) * 1.5

    return Case(
        size=at,
        policies=rows(at.policy),
        judges=rows(at.judge),
        prompts=torch.randint(at.vocabulary, (at.runs, at.prompts, at.prompt), generator=generator),
        responses=responses,
        generator=generator,
    )


def off(found: Tensor, true: Tensor) -> float:
    return float((found - true).abs().max() / true.abs().max().clamp(min=1e-30))


def off_in_norm(found: Tensor, true: Tensor) -> float:
    return float((found - true).norm() / true.norm().clamp(min=1e-30))


def test_log_probs_states_and_their_gradient(instructions: str, case: Case) -> None:
    at, packed = (
        case.size,
        packing(
            prompt_length=case.size.prompt, response_length=case.size.length, responses=case.size.responses, device=CPU
        ),
    )
    exact, rows = case.policies.double().requires_grad_(), case.policies.clone().requires_grad_()
    assert not fused.takes(exact, at.policy)
    assert fused.takes(rows, at.policy)
    found = []
    for parameters in (exact, rows):
        values = token_log_probs(parameters, at.policy, packed, case.prompts, case.responses)
        states = response_states(parameters, at.policy, packed, case.prompts, case.responses)
        found.append((values, states))
    (true_values, true_states), (values, states) = found
    assert off(values.detach(), true_values.detach()) < VALUES
    assert off(states.detach(), true_states.detach()) < VALUES
    for_values, for_states = case.normal(*values.shape), case.normal(*states.shape)
    (true,) = torch.autograd.grad((true_values * for_values).sum() + (true_states * for_states).sum(), exact)
    (gradient,) = torch.autograd.grad((values * for_values).sum() + (states * for_states).sum(), rows)
    assert off_in_norm(gradient, true) < GRADIENTS


def test_scores_and_their_gradient(instructions: str, case: Case) -> None:
    at = case.size
    packed = whole_packing(prompt_length=at.prompt, response_length=at.length, responses=at.responses, device=CPU)
    exact, rows = case.judges.double().requires_grad_(), case.judges.clone().requires_grad_()
    true, scores = (sequence_scores(each, at.judge, packed, case.prompts, case.responses) for each in (exact, rows))
    assert off(scores.detach(), true.detach()) < VALUES
    cotangents = case.normal(*scores.shape)
    (true_gradient,) = torch.autograd.grad((true * cotangents).sum(), exact)
    (gradient,) = torch.autograd.grad((scores * cotangents).sum(), rows)
    assert off_in_norm(gradient, true_gradient) < GRADIENTS


def test_gradient_is_a_finite_difference(instructions: str) -> None:
    at = size(5, 2, 16, 2, 2, 3, 2, 3, 1)
    row = initial_parameters(at.policy, np.random.default_rng(3))
    generator = torch.Generator().manual_seed(2)
    prompts = torch.randint(5, (1, 3, 2), generator=generator)
    responses = torch.randint(5, (1, 3, 2, 3), generator=generator)
    sizes = fused.sizes_of(at.policy, prompts, 2, 3)

    def value(parameters: Tensor) -> float:
        return float(calls.forward(sizes, parameters[None], prompts, responses)[0].double().sum())

    kept = torch.empty(calls.kept_numbers(sizes, 1, 3))
    values, _ = calls.forward(sizes, row[None], prompts, responses, kept=kept)
    gradient = calls.backward(sizes, row[None], prompts, responses, kept, cotangents=torch.ones_like(values))[0]
    direction = torch.randn(len(row), generator=generator)
    direction[at.policy.parameters :] = 0
    direction /= direction.norm()
    step = 3e-3
    slope = (value(row + step * direction) - value(row - step * direction)) / (2 * step)
    assert float(gradient.double() @ direction.double()) == pytest.approx(slope, rel=4e-3)
    assert not gradient[at.policy.parameters :].any()


def test_trees(instructions: str, case: Case) -> None:
    at = case.size
    if at.vocabulary**at.length > 5000:
        pytest.skip("too many responses to list")
    prompts = case.prompts[0]
    true = node_log_probs(case.policies.double(), at.policy, prompts, at.length)
    nodes = node_log_probs(case.policies, at.policy, prompts, at.length)
    assert off(nodes, true) < VALUES
    assert float((nodes.exp().sum(dim=-1) - 1).abs().max()) < 1e-12
    scores = leaf_scores(case.judges, at.judge, prompts, at.length)
    assert off(scores, leaf_scores(case.judges.double(), at.judge, prompts, at.length)) < VALUES


@pytest.mark.parametrize("warm", [False, True])
def test_samples_are_those_of_torch(instructions: str, case: Case, warm: bool) -> None:
    at = case.size
    noise = (
        -torch.empty(at.length, at.prompts, at.responses, at.vocabulary).exponential_(generator=case.generator).log()
    )
    temperature = torch.rand(at.prompts, at.responses, generator=case.generator) + 0.5 if warm else None

    def draw() -> Tensor:
        tokens = iter(noise)
        return sample(
            case.policies,
            at.policy,
            case.prompts[0],
            responses=at.responses,
            length=at.length,
            noise=lambda: next(tokens),
            end=1,
            temperature=temperature,
        )

    with computing(Computing(engine="torch")):
        true = draw()
    assert torch.equal(draw(), true)


def test_alone_and_in_a_stack_to_the_last_bit(instructions: str, case: Case) -> None:
    at = case.size
    sizes = fused.sizes_of(at.policy, case.prompts, at.responses, at.length)
    cotangents = case.normal(*case.responses.shape)

    def both(rows: slice) -> tuple[Tensor, Tensor]:
        asked, said = case.prompts[rows], case.responses[rows]
        kept = torch.empty(calls.kept_numbers(sizes, len(asked), at.prompts))
        values, _ = calls.forward(sizes, case.policies[rows], asked, said, kept=kept)
        assert torch.equal(calls.forward(sizes, case.policies[rows], asked, said)[0], values)
        return values, calls.backward(sizes, case.policies[rows], asked, said, kept, cotangents=cotangents[rows])

    values, gradient = both(slice(None))
    for run in range(at.runs):
        alone = both(slice(run, run + 1))
        assert torch.equal(alone[0][0], values[run])
        assert torch.equal(alone[1][0], gradient[run])
