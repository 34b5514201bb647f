"""The prefix tree against evaluating every response on its own."""

import numpy as np
import pytest
import torch

from simulator.networks.architecture import Architecture
from simulator.networks.packing import packing
from simulator.networks.parameters import initial_parameters, unstack
from simulator.networks.prefix_tree import all_responses, leaf_log_probs, node_log_probs
from simulator.networks.transformer import token_log_probs
from simulator.sweeps.grid import expand
from simulator.worlds.build import build_world
from simulator.worlds.enumerable import EnumerableWorld
from tests.conftest import small_sweep


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
        alone = token_log_probs(
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


@pytest.mark.parametrize("sizes", [(8, 3, 16), (4, 3, 3), (5, 3, 4), (3, 4, 2), (2, 4, 1), (7, 2, 5)], ids=str)
def test_a_law_has_the_same_bits_in_any_company(sizes: tuple[int, int, int]) -> None:
    vocabulary, length, prompts = sizes
    sweep = small_sweep(
        world={"vocabulary": vocabulary, "response_length": length, "prompts": prompts}, reference={"steps": 2}
    )
    world = build_world(expand(sweep)[0].settings)
    assert isinstance(world, EnumerableWorld)
    away = torch.from_numpy(np.random.default_rng(0).normal(scale=0.1, size=(7, len(world.reference)))).float()
    rows = world.reference + away
    whole = world._laws(rows, alone=False)
    for first, end in ((0, 1), (6, 7), (0, 2), (2, 5), (1, 7)):
        assert torch.equal(world._laws(rows[first:end], alone=False), whole[first:end])
