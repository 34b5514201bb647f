"""Scores of every response by the tree of prefixes, against one network written plainly."""

import numpy as np
import pytest
import torch

from simulator.networks.architecture import Architecture
from simulator.networks.listing.prefix_tree import all_responses, leaf_scores
from simulator.networks.parameters import initial_parameters
from tests.helpers.plain_network import plain_scores


def test_scores_of_the_tree_are_those_of_whole_sequences(rng: np.random.Generator) -> None:
    architecture = Architecture(vocabulary=3, context=5, layers=2, width=8, heads=2, outputs=1)
    parameters = torch.stack([initial_parameters(architecture, rng) for _ in range(2)])
    prompts, every = torch.from_numpy(rng.integers(3, size=(4, 2))), torch.from_numpy(all_responses(3, 3))
    tree = leaf_scores(parameters, architecture, prompts, 3)
    for run in range(2):
        for row, prompt in enumerate(prompts):
            whole = torch.cat([prompt.expand(27, -1), every], dim=1)
            plain = plain_scores(parameters[run].double(), architecture, whole)
            assert tree[run, row].numpy() == pytest.approx(plain.numpy(), abs=1e-5)
