"""The list of responses that may end early, against walking a network token by token."""

import itertools

import numpy as np
import pytest
import torch

from simulator.networks.architecture import Architecture
from simulator.networks.listing.prefix_tree import node_log_probs
from simulator.networks.listing.response_list import list_responses
from simulator.networks.parameters import initial_parameters
from simulator.networks.token_log_probs import response_log_probs

END, FILL = 1, -1  # any token may be the one that ends


def every_response(vocabulary: int, length: int) -> list[tuple[int, ...]]:
    """By brute force, in the order of their tokens with ends in place of what is behind one."""
    found = set()
    for tokens in itertools.product(range(vocabulary), repeat=length):
        count = tokens.index(END) + 1 if END in tokens else length
        found.add((*tokens[:count], *[FILL] * (length - count)))
    return sorted(found, key=lambda tokens: [END if token == FILL else token for token in tokens])


@pytest.mark.parametrize(("vocabulary", "length"), [(2, 1), (2, 5), (3, 4), (5, 3)])
def test_all_responses_are_there_once_and_have_their_numbers(vocabulary: int, length: int) -> None:
    listed = list_responses(vocabulary, length, END)
    assert listed.responses.tolist() == [list(tokens) for tokens in every_response(vocabulary, length)]
    assert len(listed.responses) == sum((vocabulary - 1) ** tokens for tokens in range(length + 1))
    assert torch.equal(listed.number(listed.responses), torch.arange(len(listed.responses)))
    shuffled = listed.responses[torch.randperm(len(listed.responses), generator=torch.Generator().manual_seed(0))]
    assert torch.equal(listed.responses[listed.number(shuffled.view(1, -1, length))[0]], shuffled)
    assert listed.lengths.tolist() == [sum(token != FILL for token in tokens) for tokens in listed.responses.tolist()]


@pytest.mark.parametrize("width", [8, 16])  # by torch, and by the compiled engine where it is there
def test_the_law_is_that_of_the_network_token_by_token(width: int) -> None:
    architecture = Architecture(vocabulary=4, context=4, layers=2, width=width, heads=2)
    rows = torch.stack([2 * initial_parameters(architecture, np.random.default_rng(seed)) for seed in range(2)])
    rows, near = (rows, 2e-5) if width == 16 else (rows.double(), 1e-9)
    prompts, listed = torch.tensor([[0, 1], [3, 2], [2, 2]]), list_responses(4, 3, END)
    law = listed.log_probs(node_log_probs(rows, architecture, prompts, 3))
    same = listed.responses.expand(2, 3, -1, -1)
    alone = response_log_probs(rows, architecture, prompts.expand(2, -1, -1), same)
    assert law.numpy() == pytest.approx(alone.numpy(), abs=near)
    assert law.exp().sum(dim=2).numpy() == pytest.approx(1, abs=1e-9)


def test_gradients_through_the_tree_are_those_of_finite_differences() -> None:
    """What is predicted behind an end has none, and all else that of an expectation over responses."""
    rng, listed = np.random.default_rng(0), list_responses(3, 3, END)
    nodes = torch.from_numpy(rng.normal(size=(1, 2, 13, 3))).requires_grad_()
    values = torch.from_numpy(rng.normal(size=(2, len(listed.responses))))

    def expected(logits: torch.Tensor) -> torch.Tensor:
        return (listed.log_probs(logits.log_softmax(dim=-1)).exp() * values).sum()

    (slope,) = torch.autograd.grad(expected(nodes), nodes)
    assert torch.autograd.gradcheck(expected, (nodes,))
    behind = [END, *(1 + 3 + 3 * node + token for node in range(3) for token in range(3) if END in (node, token))]
    assert slope[0, :, [1 + END, *behind[1:]]].abs().max() == 0
    assert slope.abs().sum(dim=-1)[0, :, [0, 1, 3, 4, 6, 10, 12]].min() > 0


def test_without_an_end_a_list_is_the_leaves_of_the_tree() -> None:
    listed = list_responses(3, 2)
    assert listed.responses.tolist() == [list(tokens) for tokens in itertools.product(range(3), repeat=2)]
    assert listed.number(listed.responses).tolist() == list(range(9))
    assert (listed.lengths == 2).all()
