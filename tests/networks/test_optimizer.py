"""The stacked optimizer against torch's own, one run at a time."""

import math

import pytest
import torch

from simulator.networks.optimizer import adam_step, bias_corrections, clip_rows, learning_rate_factor, start_adam


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_rows_follow_torch_adam(weight_decay: float) -> None:
    generator = torch.Generator().manual_seed(0)
    parameters = torch.randn(3, 7, generator=generator, dtype=torch.float64)
    rates = torch.tensor([[0.1], [0.01], [0.0]], dtype=torch.float64)
    gradients = torch.randn(12, 3, 7, generator=generator, dtype=torch.float64)
    rows = [torch.nn.Parameter(row.clone()) for row in parameters]
    theirs = [
        torch.optim.AdamW([row], lr=rate.item(), weight_decay=weight_decay)
        for row, rate in zip(rows, rates, strict=True)
    ]
    state = start_adam(parameters)
    for step, gradient in enumerate(gradients, start=1):
        adam_step(
            parameters,
            gradient.clone(),
            state,
            corrections=bias_corrections(step),
            rate=rates,
            weight_decay=weight_decay,
        )
        for row, optimizer, g in zip(rows, theirs, gradient, strict=True):
            row.grad = g.clone()
            optimizer.step()
    assert parameters.numpy() == pytest.approx(torch.stack([row.detach() for row in rows]).numpy(), abs=1e-9)


def test_each_row_is_clipped_alone() -> None:
    gradient = torch.tensor([[3.0, 4.0], [0.3, 0.4], [300.0, 400.0]])
    limit = torch.tensor([[1.0], [1.0], [math.inf]])
    clipped = clip_rows(gradient.clone(), limit)
    assert clipped[0].numpy() == pytest.approx([0.6, 0.8], rel=1e-5)
    assert clipped[1].tolist() == gradient[1].tolist()
    assert clipped[2].tolist() == gradient[2].tolist()


@pytest.mark.parametrize("size", [1e-44, 1e-30, 1e-5, 1e10, 1e19, 1e30, 3e38])
def test_the_clipped_norm_is_right_for_every_finite_row(size: float) -> None:
    gradient = torch.tensor([[3.0, -4.0, 1.0], [1.0, 1.0, -1.0]]) * (size / 4)
    exact = [math.hypot(*row) for row in gradient.tolist()]
    limit = torch.tensor([[1.0], [1e-3]])
    clipped = clip_rows(gradient.clone(), limit)
    for row, before, norm, most in zip(clipped, gradient, exact, (1.0, 1e-3), strict=True):
        assert math.hypot(*row.tolist()) == pytest.approx(min(norm, most), rel=1e-4, abs=1e-44)
        assert norm > most or row.tolist() == before.tolist()


@pytest.mark.parametrize("size", [1e-44, 1.0, 1e19, 3e38, math.inf, math.nan])
def test_off_is_off_to_the_last_bit(size: float) -> None:
    gradient = torch.tensor([[size, -0.3, 0.0]])
    assert torch.equal(
        clip_rows(gradient.clone(), torch.tensor([[math.inf]])).view(torch.int32), gradient.view(torch.int32)
    )


@pytest.mark.parametrize("broken", [math.inf, math.nan])
def test_a_row_that_is_not_finite_stays_so(broken: float) -> None:
    assert not clip_rows(torch.tensor([[broken, 1.0]]), torch.ones(1, 1)).isfinite().all()


@pytest.mark.parametrize("size", [1e-3, 1e17, 1e19, 1e30, 3e38])
def test_an_unclipped_step_does_not_depend_on_the_size_of_the_gradient(size: float) -> None:
    """Adam divides the gradient by its own size: with one sign throughout, each step is the learning rate."""
    parameters = torch.zeros(1, 2)
    state = start_adam(parameters)
    for step in range(1, 6):
        adam_step(
            parameters,
            torch.tensor([[size, -size]]),
            state,
            corrections=bias_corrections(step),
            rate=torch.tensor([[0.1]]),
            weight_decay=0.0,
        )
    assert parameters[0].tolist() == pytest.approx([-0.5, 0.5], rel=1e-4)


@pytest.mark.parametrize(
    ("schedule", "at"),
    [
        ("constant", {2: 0.5, 4: 1.0, 5: 1.0, 53: 1.0, 100: 1.0}),
        ("linear", {2: 0.5, 4: 1.0, 5: 1.0, 53: 0.5, 100: 1 / 96}),
        ("cosine", {2: 0.5, 4: 1.0, 5: 1.0, 53: 0.5, 100: math.sin(math.pi / 192) ** 2}),
    ],
)
def test_schedules(schedule: str, at: dict[int, float]) -> None:
    got = {step: learning_rate_factor(step, steps=100, warmup=4, schedule=schedule) for step in at}
    assert got == pytest.approx(at, abs=1e-12)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (1, 1), (2, 0), (7, 3), (7, 7), (600, 0)])
def test_every_step_moves_and_the_last_one_least(schedule: str, steps: int, warmup: int) -> None:
    shares = [learning_rate_factor(step, steps=steps, warmup=warmup, schedule=schedule) for step in range(1, steps + 1)]
    assert all(0 < share <= 1 for share in shares)
    assert max(shares) == 1
    assert shares[warmup:] == sorted(shares[warmup:], reverse=True)
