"""Sampled responses against the law that they are drawn from."""

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import simulator as sim
from simulator.networks.architecture import FILL, Architecture
from simulator.networks.listing.prefix_tree import leaf_log_probs, node_log_probs
from simulator.networks.parameters import initial_parameters
from simulator.networks.sampling import SampleBlocks, gumbel_noise, sample, sample_blocks

CPU = torch.device("cpu")
SMALL = Architecture(vocabulary=4, context=4, layers=2, width=8, heads=2)  # prompts of 2 and responses of 3
PROMPTS = torch.tensor([[0, 1], [3, 2]])


@pytest.fixture
def parameters() -> Tensor:
    """Three policies with decided opinions, [3, D]."""
    rows = [initial_parameters(SMALL, np.random.default_rng(seed)) for seed in range(3)]
    return 2.0 * torch.stack(rows)


def noise_of(lots: SampleBlocks, seed: int = 0, vocabulary: int = 4) -> Callable[[], Tensor]:
    return gumbel_noise(lots, range(lots.count), vocabulary=vocabulary, seed=seed, purpose="test", device=CPU)


@pytest.mark.parametrize("temperature", [1.0, 2.0, torch.inf])
def test_responses_have_the_law_of_the_policy(parameters: Tensor, temperature: float) -> None:
    policy, draws = parameters[:1], 16_384
    drawn = sample_blocks(
        policy,
        SMALL,
        PROMPTS,
        temperature=torch.full((2, draws), temperature),
        length=3,
        end=None,
        seed=5,
        purpose="law",
        at_once=2**20,
    )
    nodes = (node_log_probs(policy, SMALL, PROMPTS, 3) / temperature).log_softmax(dim=-1)
    law = leaf_log_probs(nodes, 4)[0].exp().numpy()
    for p in range(2):
        count = np.bincount((drawn[p] @ torch.tensor([16, 4, 1])).numpy(), minlength=64)
        expected = draws * law[p]
        assert ((count - expected) ** 2 / expected).sum() < 63 + 4.5 * np.sqrt(2 * 63)


def test_responses_that_end_have_the_law_of_the_policy(parameters: Tensor) -> None:
    end, draws = 2, 16_384
    drawn = sample_blocks(
        parameters[1:2],
        SMALL,
        PROMPTS[:1],
        temperature=torch.ones(1, draws),
        length=3,
        end=end,
        seed=1,
        purpose="end",
        at_once=2**20,
    )[0]
    spoken = [0, 1, 3]
    texts = [list(body) for body in itertools.product(spoken, spoken, range(4))]
    texts += [[*body, end] + [FILL] * (2 - n) for n in (0, 1) for body in itertools.product(spoken, repeat=n)]
    responses = torch.tensor(texts)
    policy = sim.Policies(
        parameters=parameters[1:2],
        architecture=SMALL,
        prompt_length=2,
        end=end,
        table=pd.DataFrame({"run_id": ["one"]}),
        reference_sha256="",
    )
    log_probs = policy.log_prob(PROMPTS[:1], responses[None])[0, 0]
    assert log_probs.exp().sum().item() == pytest.approx(1, abs=1e-5)
    code = torch.tensor([25, 5, 1])
    found = dict(zip(*np.unique(((drawn + 1) @ code).numpy(), return_counts=True), strict=True))
    expected = draws * log_probs.exp().numpy()
    count = np.array([found.pop(number, 0) for number in ((responses + 1) @ code).tolist()])
    assert not found
    assert ((count - expected) ** 2 / expected).sum() < len(texts) + 4.5 * np.sqrt(2 * len(texts))


def test_what_was_drawn_first_does_not_depend_on_how_much_is_drawn(parameters: Tensor) -> None:
    def draw(count: int, at_once: int) -> Tensor:
        prompts = PROMPTS[torch.arange(count) % 2]
        return sample_blocks(
            parameters[:1],
            SMALL,
            prompts,
            temperature=torch.ones(count, 2),
            length=3,
            end=None,
            seed=0,
            purpose="nested",
            at_once=at_once,
        )

    whole = draw(200, 10**6)
    assert torch.equal(draw(200, 64), whole)
    assert torch.equal(draw(37, 10**6), whole[:37])


def test_a_policy_draws_the_same_alone_and_in_a_stack(parameters: Tensor) -> None:
    lots = SampleBlocks(prompts=64, responses=5)
    prompts = PROMPTS[torch.arange(64) % 2]

    def draw(rows: slice) -> tuple[Tensor, Tensor]:
        seen: list[Tensor] = []
        policies = parameters[rows]
        drawn = sample(policies, SMALL, prompts, responses=5, length=3, noise=noise_of(lots), end=3, keep=seen.append)
        return drawn, torch.stack(seen)

    together = draw(slice(None))
    for row in range(3):
        alone = draw(slice(row, row + 1))
        assert torch.equal(alone[0][0], together[0][row])
        assert torch.equal(alone[1][:, 0], together[1][:, row])


def test_policies_that_nearly_agree_nearly_always_say_the_same(parameters: Tensor) -> None:
    """Common noise: they part no more often than a maximal coupling of independent tokens, up to a factor of two."""
    near = parameters[:1] + 0.005 * torch.randn(1, parameters.shape[1], generator=torch.Generator().manual_seed(1))
    lots = SampleBlocks(prompts=2048, responses=1)
    first: list[Tensor] = []
    drawn = sample(
        torch.cat([parameters[:1], near]),
        SMALL,
        PROMPTS[torch.arange(2048) % 2],
        responses=1,
        length=1,
        noise=noise_of(lots),
        end=None,
        keep=first.append,
    )
    laws = first[0].softmax(dim=-1)
    apart = 0.5 * (laws[0] - laws[1]).abs().sum(dim=-1)
    bound = (2 * apart / (1 + apart)).mean().item()
    parted = (drawn[0] != drawn[1]).double().mean().item()
    assert 0 < bound < 0.1
    assert parted < bound + 4 * np.sqrt(bound / 2048)
    other = sample(
        near,
        SMALL,
        PROMPTS[torch.arange(2048) % 2],
        responses=1,
        length=1,
        noise=noise_of(lots, seed=9),
        end=None,
    )
    assert (drawn[0] != other[0]).double().mean().item() > 5 * parted


@pytest.mark.parametrize(("prompts", "responses"), [(1, 1), (5, 3), (64, 8), (7, 64), (3, 100)])
def test_lots_cover_every_prompt_and_fill_whole_registers(prompts: int, responses: int) -> None:
    lots = SampleBlocks(prompts=prompts, responses=responses)
    assert lots.responses_per_block % 64 == 0
    rows = torch.cat([rows for _, rows in lots.batches(2)])
    assert len(rows) == lots.count * lots.size
    assert rows[:prompts].tolist() == list(range(prompts))
    assert rows.max() == prompts - 1
    assert lots.count * lots.size - prompts < lots.size
