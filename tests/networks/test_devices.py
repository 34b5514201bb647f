"""Nothing is made on a device of its own choosing: on torch's meta device, mixing with any other is an error."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from simulator.engine.gradient_steps import advance, loss_and_gradient, start
from simulator.engine.problem import Schedule, TrainingProblem
from simulator.measurement.estimators import cluster_mean, implicit_reward, win_probability
from simulator.networks.architecture import Architecture
from simulator.networks.packing import packing
from simulator.networks.parameters import initial_parameters, unstack
from simulator.networks.sampling import sample
from simulator.networks.token_log_probs import accumulate_token_stats, response_log_probs, response_logits
from simulator.objectives import OBJECTIVES
from simulator.objectives.losses.gpo import LOSSES
from simulator.objectives.stacked_losses import ObjectiveSlice

META = torch.device("meta")
ARCHITECTURE = Architecture(vocabulary=5, context=4, layers=2, width=8, heads=2)


class OnOneDevice(TorchDispatchMode):
    """Fails where an operation gives a tensor on another device than `allowed`."""

    def __init__(self, allowed: set[str]) -> None:
        super().__init__()
        self.allowed = allowed

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, Tensor):
                assert value.device.type in self.allowed, f"{func} made a tensor on {value.device}"
        return result


def problem(runs: int, pairs: int, batch: int) -> TrainingProblem:
    def made(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.ones(shape, dtype=dtype, device=META)

    names = list(LOSSES)[:runs]
    return TrainingProblem(
        architecture=ARCHITECTURE,
        packing=packing(prompt_length=2, response_length=3, responses=2, device=META),
        prompts=made(runs, pairs, 2, dtype=torch.int64),
        responses=made(runs, pairs, 2, 3, dtype=torch.int64),
        reference_log_probs=made(runs, pairs, 2),
        parts=tuple(ObjectiveSlice(objective=OBJECTIVES[name], rows=1, hyperparameters={}) for name in names),
        beta=made(runs, 1),
        learning_rate=made(runs, 1),
        clip=made(runs, 1),
        weight_decay=0.01,
        schedule=Schedule(steps=10, warmup=2, kind="cosine"),
        batch=batch,
        batch_seeds=tuple(range(runs)),
    )


@pytest.fixture
def reference() -> Tensor:
    return initial_parameters(ARCHITECTURE, np.random.default_rng(0)).to(META)


def test_a_training_step_stays_on_its_device(reference: Tensor) -> None:
    posed = problem(6, 7, 7)
    state = start(reference, 6)
    with OnOneDevice({"meta"}):
        loss_and_gradient(state.parameters, posed, None)
        state = advance(state, posed, 3)
    assert state.parameters.device == META


def test_only_the_order_of_batches_comes_from_the_host(reference: Tensor) -> None:
    """Once for up to 512 steps, and nothing in a step."""
    posed = problem(6, 7, 3)
    state = advance(start(reference, 6), posed, 2)
    chosen = torch.ones(6, 3, dtype=torch.int64, device=META)
    with OnOneDevice({"meta"}), pytest.raises(AssertionError, match="made a tensor on cpu"):
        advance(state, posed, 2)
    with OnOneDevice({"meta"}):
        loss, gradient = loss_and_gradient(state.parameters, posed, chosen)
    assert (loss.device, gradient.device) == (META, META)


def test_sampling_and_reading_stay_on_their_device(reference: Tensor) -> None:
    blocks = unstack(reference.expand(3, -1), ARCHITECTURE)
    alone = unstack(reference.unsqueeze(0), ARCHITECTURE)
    prompts = torch.ones(4, 2, dtype=torch.int64, device=META)
    packing(prompt_length=2, response_length=3, responses=1, device=META)  # made once, on the host
    with OnOneDevice({"meta"}):
        seen: list[Tensor] = []
        drawn = sample(
            blocks,
            ARCHITECTURE,
            prompts,
            responses=5,
            length=3,
            noise=lambda: torch.ones(4, 5, 5, device=META),
            end=None,
            keep=seen.append,
        )
        sums = accumulate_token_stats(seen, response_logits(alone, ARCHITECTURE, prompts, drawn), drawn)
        cluster_mean(sums["kl"], share=0.5)
        implicit_reward(sums["kl"], sums["ratio"], share=1.0, least=1e-5)
        win_probability(sums["kl"], torch.ones(4, 9, dtype=torch.float64, device=META), share=1.0)
    assert drawn.shape == (3, 4, 5, 3)


def test_whole_responses_are_read_on_their_device(reference: Tensor) -> None:
    blocks = unstack(reference.expand(3, -1), ARCHITECTURE)
    prompts = torch.ones(3, 4, 2, dtype=torch.int64, device=META)
    found = response_log_probs(blocks, ARCHITECTURE, prompts, torch.ones(3, 4, 2, 3, dtype=torch.int64, device=META))
    assert found.device == META


def test_the_check_sees_a_tensor_on_another_device() -> None:
    with OnOneDevice({"meta"}), pytest.raises(AssertionError, match="made a tensor on cpu"):
        torch.ones(3)
