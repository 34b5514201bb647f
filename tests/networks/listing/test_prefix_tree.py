"""The prefix tree against evaluating every response on its own."""

import numpy as np
import pandas as pd
import pytest
import torch

import simulator as sim
from simulator.networks.architecture import Architecture
from simulator.networks.listing.prefix_tree import all_responses, leaf_log_probs, node_log_probs
from simulator.networks.parameters import initial_parameters
from tests.conftest import small_sweep


@pytest.mark.parametrize(("vocabulary", "length", "prompt_length"), [(3, 4, 1), (4, 3, 3), (5, 1, 2), (2, 5, 2)])
def test_the_tree_gives_every_response_its_log_prob(vocabulary: int, length: int, prompt_length: int) -> None:
    architecture = Architecture(vocabulary=vocabulary, context=prompt_length + length - 1, layers=2, width=8, heads=2)
    rows = [2 * initial_parameters(architecture, np.random.default_rng(seed)).double() for seed in range(2)]
    policies = sim.Policies(
        parameters=torch.stack(rows),
        architecture=architecture,
        prompt_length=prompt_length,
        end=None,
        table=pd.DataFrame({"run_id": ["one", "two"]}),
        reference_sha256="",
    )
    prompts = torch.from_numpy(np.random.default_rng(0).integers(vocabulary, size=(3, prompt_length)))
    leaves = leaf_log_probs(node_log_probs(policies.parameters, architecture, prompts, length), vocabulary)

    texts = torch.from_numpy(all_responses(vocabulary, length))
    alone = policies.log_prob(prompts, texts.expand(3, -1, -1))
    assert leaves.numpy() == pytest.approx(alone.numpy(), abs=1e-9)
    assert leaves.exp().sum(dim=2).numpy() == pytest.approx(1, abs=1e-12)


def test_responses_are_listed_as_numbers_in_base_v() -> None:
    texts = all_responses(3, 4)
    assert texts.shape == (81, 4)
    assert (texts @ [27, 9, 3, 1] == np.arange(81)).all()


@pytest.mark.parametrize("sizes", [(8, 3, 16), (4, 3, 3), (5, 3, 4), (3, 4, 2), (2, 4, 1), (7, 2, 5)], ids=str)
def test_a_law_has_the_same_bits_in_any_company(sizes: tuple[int, int, int]) -> None:
    vocabulary, length, prompts = sizes
    sweep = small_sweep(
        world={"vocabulary": vocabulary, "response_length": length, "prompts": prompts}, reference={"steps": 2}
    )
    world = sim.make_world(sweep).simulated
    assert world.lists_responses
    away = torch.from_numpy(np.random.default_rng(0).normal(scale=0.1, size=(7, len(world.reference)))).float()
    rows = world.reference + away
    whole = world._laws(rows, alone=False)
    for first, end in ((0, 1), (6, 7), (0, 2), (2, 5), (1, 7)):
        assert torch.equal(world._laws(rows[first:end], alone=False), whole[first:end])
