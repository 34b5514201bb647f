"""Sampling and reading make nothing on a device of their own choosing."""

import numpy as np
import pytest
import torch
from torch import Tensor

from simulator.networks.architecture import Architecture
from simulator.networks.parameters import initial_parameters
from simulator.networks.sampling import sample
from simulator.networks.token_log_probs import accumulate_token_stats, response_log_probs, response_logits
from tests.helpers.one_device import META, OnOneDevice

ARCHITECTURE = Architecture(vocabulary=5, context=4, layers=2, width=8, heads=2)


@pytest.fixture
def reference() -> Tensor:
    return initial_parameters(ARCHITECTURE, np.random.default_rng(0)).to(META)


def test_sampling_and_reading_stay_on_their_device(reference: Tensor) -> None:
    rows, alone = reference.expand(3, -1), reference.unsqueeze(0)
    prompts = torch.ones(4, 2, dtype=torch.int64, device=META)
    response_logits(alone, ARCHITECTURE, prompts, torch.ones(3, 4, 5, 3, dtype=torch.int64, device=META))  # the packing
    with OnOneDevice({"meta"}):
        seen: list[Tensor] = []
        drawn = sample(
            rows,
            ARCHITECTURE,
            prompts,
            responses=5,
            length=3,
            noise=lambda: torch.ones(4, 5, 5, device=META),
            end=None,
            keep=seen.append,
        )
        accumulate_token_stats(seen, response_logits(alone, ARCHITECTURE, prompts, drawn), drawn)
    assert drawn.shape == (3, 4, 5, 3)


def test_whole_responses_are_read_on_their_device(reference: Tensor) -> None:
    rows = reference.expand(3, -1)
    prompts = torch.ones(3, 4, 2, dtype=torch.int64, device=META)
    found = response_log_probs(rows, ARCHITECTURE, prompts, torch.ones(3, 4, 2, 3, dtype=torch.int64, device=META))
    assert found.device == META


def test_the_check_sees_a_tensor_on_another_device() -> None:
    with OnOneDevice({"meta"}), pytest.raises(AssertionError, match="made a tensor on cpu"):
        torch.ones(3)
