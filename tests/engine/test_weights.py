"""Weights of pairs: what training on them is, against the same pairs written out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from simulator.engine.fused_steps import are_fused
from simulator.engine.gradient_steps import advance, loss_and_gradient, losses_on_pairs, start
from simulator.engine.problem import TrainingProblem
from simulator.measurement.exact import measure_pairs
from simulator.objectives import OBJECTIVES
from simulator.objectives.stacked_losses import ObjectiveSlice, StackedPairs, diagnostics, pair_losses
from simulator.preferences.pairs import Preferences, more_preferences
from tests.helpers.training_problems import PAIRS, problem_of, row_of

NAMES = ["logistic", "exponential", "squared", "sppo_hard", "apo_down", "nca_pair", "simper"]
WHOLE = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 2.0]], dtype=torch.float64)


def weighted(problem: TrainingProblem) -> tuple[TrainingProblem, TrainingProblem]:
    """A stack whose pairs have whole weights, and one in which each stands as often, in each order, as they say."""
    weights = WHOLE.repeat(PAIRS // len(WHOLE), 1)
    place = torch.arange(PAIRS)
    copies = torch.cat([place.repeat_interleave(weights[:, side].long()) for side in (0, 1)])
    turned = torch.arange(len(copies)) >= int(weights[:, 0].sum())

    def written(values: Tensor) -> Tensor:
        some = values[:, copies]
        where = turned.view(1, -1, *[1] * (some.dim() - 2))
        return torch.where(where, some.flip(2), some)

    many = replace(
        problem,
        prompts=problem.prompts[:, copies],
        responses=written(problem.responses),
        reference_log_probs=written(problem.reference_log_probs),
        batch=len(copies),
    )
    return replace(problem, weights=weights.expand(len(problem.beta), -1, -1)), many


def test_a_weighted_pair_is_as_many_pairs() -> None:
    problem, many = weighted(problem_of([name for name in NAMES if name in OBJECTIVES], batch=PAIRS))
    parameters = row_of(problem).expand(len(problem.beta), -1)
    loss, gradient = loss_and_gradient(parameters, problem, None)
    expected, slope = loss_and_gradient(parameters, many, None)
    scale = many.pairs / PAIRS
    assert loss.numpy() == pytest.approx(scale * expected.numpy(), rel=1e-5)
    assert gradient.numpy() == pytest.approx(scale * slope.numpy(), rel=1e-3, abs=1e-5)


def test_the_measured_loss_counts_with_weights() -> None:
    problem, _ = weighted(problem_of(["logistic", "squared"], batch=PAIRS))
    assert problem.weights is not None
    ratios = torch.randn(2, PAIRS, 2, generator=torch.Generator().manual_seed(1)).double()
    found, _ = losses_on_pairs(start(row_of(problem), 2), problem, ratios)
    z = 0.7 * (ratios[..., 0] - ratios[..., 1]).numpy()
    each = np.stack([np.log1p(np.exp(-z[0])), (z[1] - 1) ** 2]), np.stack([np.log1p(np.exp(z[0])), (z[1] + 1) ** 2])
    weights = problem.weights.numpy()
    expected = (weights[..., 0] * each[0] + weights[..., 1] * each[1]).mean(axis=1)
    assert found.numpy() == pytest.approx(expected, rel=1e-6)


def test_columns_of_weighted_pairs_are_those_of_the_pairs_written_out() -> None:
    rng = np.random.default_rng(0)
    ratios, weights = torch.from_numpy(rng.normal(size=(2, 5, 2))), WHOLE.expand(2, -1, -1)
    ratios[:, 4] = 0.5  # a margin of 0
    each = [
        torch.stack(
            [
                pair if side == 0 else pair.flip(0)
                for pair, some in zip(run, WHOLE, strict=True)
                for side in (0, 1)
                for _ in range(int(some[side]))
            ]
        )
        for run in ratios
    ]
    found, expected = (measure_pairs(ratios, torch.zeros(2), weights), measure_pairs(torch.stack(each), torch.zeros(2)))
    for name in ("train_accuracy", "chosen_logratio", "rejected_logratio"):
        assert found[name].numpy() == pytest.approx(expected[name].numpy(), abs=1e-12)
    margins = np.stack([run[:, 0] - run[:, 1] for run in each])
    for name, level in (("margin_q05", 0.05), ("margin_q50", 0.5), ("margin_q95", 0.95)):
        by_numpy = np.quantile(margins, level, axis=1, method="inverted_cdf")
        assert found[name].numpy() == pytest.approx(by_numpy, abs=1e-12)


def given(ratios: Tensor, weights: Tensor | None = None) -> StackedPairs:
    nothing = torch.zeros_like(ratios)
    return StackedPairs(policy=ratios, reference=nothing, lengths=nothing + 1, beta=torch.ones(1, 1), weights=weights)


def part(name: str, **own: float) -> list[ObjectiveSlice]:
    return [ObjectiveSlice(objective=OBJECTIVES[name], rows=1, hyperparameters=own)]


@pytest.mark.parametrize("share", [0.5, 0.7, 0.99])
def test_a_soft_label_is_conservative_dpo(share: float) -> None:
    """Mitchell 2023: weights p and 1 - p of the logistic loss are its loss with ε = 1 - p."""
    ratios = torch.randn(1, 50, 2, generator=torch.Generator().manual_seed(0)).double()
    weights = torch.tensor([share, 1 - share], dtype=torch.float64).expand(1, 50, 2)
    soft = pair_losses(given(ratios, weights), part("logistic"))
    hard = pair_losses(given(ratios), part("conservative_dpo", epsilon=1 - share))
    assert soft.numpy() == pytest.approx(hard.numpy(), rel=1e-12)


def test_an_order_of_weight_0_is_never_looked_at() -> None:
    """exp(-z) of the other order overflows, and 0 times that is no number."""
    ratios = torch.tensor([[[600.0, -600.0], [-600.0, 600.0]]]).double().requires_grad_()
    weights = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]).double()
    losses = pair_losses(given(ratios, weights), part("exponential"))
    losses.sum().backward()
    assert ratios.grad is not None
    assert losses.isfinite().all()
    assert ratios.grad.isfinite().all()


def test_what_a_loss_watches_counts_with_weights() -> None:
    ratios = torch.tensor([[[-1.0, 2.0], [3.0, -4.0], [5.0, 6.0]]]).double()
    weights = torch.tensor([[[1.0, 0.0], [0.25, 0.75], [0.0, 2.0]]]).double()
    found = diagnostics(given(ratios, weights), part("dpop", weight=1.0))
    assert found["dpop_penalized"].tolist() == [pytest.approx((1 + 0.75) / 4)]  # s_w < 0: -1, and -4 where exchanged


def test_steps_with_weights_are_not_those_of_the_compiled_engine() -> None:
    problem, _ = weighted(problem_of(["logistic", "hinge"], batch=8))
    plain = replace(problem, weights=None)
    assert all(are_fused(each, plain) for each in plain.parts)
    assert not any(are_fused(each, problem) for each in problem.parts)
    whole = advance(start(row_of(problem), 2), problem, 5)
    for row in range(2):
        rows = slice(row, row + 1)
        alone = problem.select_runs(rows, problem.parts[rows])
        assert torch.equal(advance(start(row_of(problem), 1), alone, 5).parameters, whole.parameters[rows])


def test_fresh_pairs_without_weights_stand_as_they_are() -> None:
    before = Preferences(
        prompt=torch.zeros(1, 2, dtype=torch.int64),
        responses=torch.zeros(1, 2, 2, 3, dtype=torch.int64),
        reference=torch.zeros(1, 2, 2),
        weights=torch.full((1, 2, 2), 0.5, dtype=torch.float64),
    )
    both = more_preferences(before, replace(before, weights=None))
    assert both.weights is not None
    assert both.weights.tolist() == [[[0.5, 0.5], [0.5, 0.5], [1.0, 0.0], [1.0, 0.0]]]
