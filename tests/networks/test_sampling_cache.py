"""What is kept while responses are drawn, against reading everything anew."""

import numpy as np
import pytest
import torch
from torch import Tensor

from simulator.networks.architecture import Architecture
from simulator.networks.parameters import initial_parameters
from simulator.networks.sampling import SampleBlocks, gumbel_noise, sample
from simulator.networks.token_log_probs import response_logits

SMALL = Architecture(vocabulary=4, context=4, layers=2, width=8, heads=2)  # prompts of 2 and responses of 3


def test_the_cache_gives_the_logits_that_reading_everything_gives() -> None:
    parameters = 2.0 * torch.stack([initial_parameters(SMALL, np.random.default_rng(seed)) for seed in range(3)])
    lots = SampleBlocks(prompts=64, responses=3)
    prompts = torch.tensor([[0, 1], [3, 2]])[torch.arange(64) % 2]
    noise = gumbel_noise(lots, range(lots.count), vocabulary=4, seed=0, purpose="test", device=torch.device("cpu"))
    seen: list[Tensor] = []
    drawn = sample(parameters, SMALL, prompts, responses=3, length=3, noise=noise, end=None, keep=seen.append)
    whole = torch.cat(
        [response_logits(row[None], SMALL, prompts, said[None]) for row, said in zip(parameters, drawn, strict=True)]
    )
    assert torch.stack(seen, dim=3).numpy() == pytest.approx(whole.numpy(), abs=1e-5)
