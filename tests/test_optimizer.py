"""The stacked optimizer against torch's own, one run at a time."""

import math

import pytest
import torch

from simulator.optimizer import adam_step, clip_rows, learning_rate_factor, start_adam


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
        adam_step(parameters, gradient.clone(), state, step=step, rate=rates, weight_decay=weight_decay)
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


@pytest.mark.parametrize(
    ("schedule", "at"),
    [
        ("constant", {2: 0.5, 4: 1.0, 52: 1.0, 100: 1.0}),
        ("linear", {2: 0.5, 4: 1.0, 52: 0.5, 100: 0.0}),
        ("cosine", {2: 0.5, 4: 1.0, 52: 0.5, 100: 0.0}),
    ],
)
def test_schedules(schedule: str, at: dict[int, float]) -> None:
    got = {step: learning_rate_factor(step, steps=100, warmup=4, schedule=schedule) for step in at}
    assert got == pytest.approx(at, abs=1e-12)
