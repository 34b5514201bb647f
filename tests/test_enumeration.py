"""The prefix tree against evaluating every response on its own."""

import numpy as np
import pytest
import torch

from simulator.enumeration import all_responses, leaf_log_probs, node_log_probs
from simulator.network import Architecture, initial_parameters, unstack
from simulator.packing import packing
from simulator.transformer import response_log_probs


@pytest.mark.parametrize(("vocabulary", "length", "prompt_length"), [(3, 4, 1), (4, 3, 3), (5, 1, 2), (2, 5, 2)])
def test_the_tree_gives_every_response_its_log_prob(vocabulary: int, length: int, prompt_length: int) -> None:
    architecture = Architecture(vocabulary=vocabulary, context=prompt_length + length - 1, layers=2, width=8, heads=2)
    rows = [2 * initial_parameters(architecture, np.random.default_rng(seed)).double() for seed in range(2)]
    blocks = unstack(torch.stack(rows), architecture)
    prompts = torch.from_numpy(np.random.default_rng(0).integers(vocabulary, size=(3, prompt_length)))
    leaves = leaf_log_probs(node_log_probs(blocks, architecture, prompts, length), vocabulary)

    texts = torch.from_numpy(all_responses(vocabulary, length))
    packed = packing(prompt_length=prompt_length, response_length=length, responses=1, device=torch.device("cpu"))
    for p, prompt in enumerate(prompts):
        alone = response_log_probs(
            blocks,
            architecture,
            packed,
            prompt.expand(2, len(texts), -1),
            texts.view(1, -1, 1, length).expand(2, -1, -1, -1),
        ).sum(dim=(2, 3))
        assert leaves[:, p].numpy() == pytest.approx(alone.numpy(), abs=1e-9)
    assert leaves.exp().sum(dim=2).numpy() == pytest.approx(1, abs=1e-12)


def test_responses_are_listed_as_numbers_in_base_v() -> None:
    texts = all_responses(3, 4)
    assert texts.shape == (81, 4)
    assert (texts @ [27, 9, 3, 1] == np.arange(81)).all()
