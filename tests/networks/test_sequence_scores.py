"""Scores of whole responses, packed, against one network written plainly."""

import numpy as np
import pytest
import torch

from simulator.networks.architecture import Architecture
from simulator.networks.packing import whole_packing
from simulator.networks.parameters import initial_parameters
from simulator.networks.transformer import sequence_scores
from tests.helpers.plain_network import plain_scores

CPU = torch.device("cpu")


def test_scores_of_packed_responses_are_those_of_whole_sequences(rng: np.random.Generator) -> None:
    architecture = Architecture(vocabulary=3, context=5, layers=2, width=8, heads=2, outputs=1)
    parameters = torch.stack([initial_parameters(architecture, rng) for _ in range(2)])
    prompts = torch.from_numpy(rng.integers(3, size=(4, 2)))
    every = torch.cartesian_prod(*[torch.arange(3)] * 3)
    packed = whole_packing(prompt_length=2, response_length=3, responses=27, device=CPU)
    together = sequence_scores(parameters, architecture, packed, prompts.expand(2, -1, -1), every.expand(2, 4, -1, -1))
    for run in range(2):
        for row, prompt in enumerate(prompts):
            whole = torch.cat([prompt.expand(27, -1), every], dim=1)
            plain = plain_scores(parameters[run].double(), architecture, whole)
            assert together[run, row].numpy() == pytest.approx(plain.numpy(), abs=1e-5)


def test_what_comes_after_the_end_is_a_token_of_its_own(rng: np.random.Generator) -> None:
    architecture = Architecture(vocabulary=4, context=5, layers=1, width=8, heads=2, outputs=1)
    parameters = initial_parameters(architecture, rng)[None]
    packed = whole_packing(prompt_length=2, response_length=3, responses=1, device=CPU)
    prompts, ended = torch.zeros(1, 1, 2, dtype=torch.int64), torch.tensor([[[[1, 2, -1]]]])
    found = sequence_scores(parameters, architecture, packed, prompts, ended)
    plain = plain_scores(parameters[0].double(), architecture, torch.tensor([[0, 0, 1, 2, 3]]))
    assert float(found) == pytest.approx(float(plain), abs=1e-5)
