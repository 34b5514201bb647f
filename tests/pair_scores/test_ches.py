"""CHES against a slow loop over one token at a time, by a second implementation of the network."""

import numpy as np
import pytest
import torch

import simulator as sim
from simulator.networks.architecture import Architecture
from simulator.networks.parameters import initial_parameters, unstack
from simulator.pair_scores.ches import ches
from simulator.pair_scores.many_pairs import score_pairs

SIZES = Architecture(vocabulary=5, context=5, layers=2, width=8, heads=2)
PROMPTS = torch.tensor([[0, 1], [3, 4], [2, 2]])
RESPONSES = torch.tensor(
    [[[1, 2, 3, 0], [4, 0, -1, -1]], [[2, -1, -1, -1], [0, 0, 1, 4]], [[1, 1, 1, 1], [1, 1, 1, 1]]]
)


def last_state(blocks: dict[str, np.ndarray], tokens: list[int]) -> np.ndarray:
    """What the token behind `tokens` is predicted from, by attention that looks at one place after another."""

    def normed(x: np.ndarray) -> np.ndarray:
        return (x - x.mean()) / np.sqrt(x.var() + 1e-5)

    stream = [blocks["token"][token] + blocks["position"][place] for place, token in enumerate(tokens)]
    size = SIZES.width // SIZES.heads
    for layer in range(SIZES.layers):
        seen = [np.split(normed(x) @ blocks[f"{layer}.attend"], 3) for x in stream]
        for place in range(len(stream)):
            found = np.zeros(SIZES.width)
            for head in range(SIZES.heads):
                part = slice(head * size, (head + 1) * size)
                scores = [seen[place][0][part] @ seen[other][1][part] / np.sqrt(size) for other in range(place + 1)]
                weights = np.exp(scores) / np.exp(scores).sum()
                found[part] = sum(weight * seen[other][2][part] for other, weight in enumerate(weights))
            stream[place] = stream[place] + found @ blocks[f"{layer}.merge"]
        stream = [x + np.maximum(normed(x) @ blocks[f"{layer}.up"], 0) @ blocks[f"{layer}.down"] for x in stream]
    return normed(stream[-1])


@pytest.fixture(scope="module")
def parameters() -> torch.Tensor:
    return initial_parameters(SIZES, np.random.default_rng(3)).double()


@pytest.mark.parametrize("normalized", [False, True])
def test_ches_is_that_of_the_states_one_by_one(parameters: torch.Tensor, normalized: bool) -> None:
    blocks = {name: block[0].numpy() for name, block in unstack(parameters[None], SIZES).items()}
    expected = []
    for prompt, pair in zip(PROMPTS.tolist(), RESPONSES.tolist(), strict=True):
        sides = []
        for response in pair:
            said = [token for token in response if token >= 0]
            states = [last_state(blocks, prompt + said[:place]) for place in range(len(said))]
            sides.append(sum(states) / (len(said) if normalized else 1))
        expected.append(sides[0] @ sides[1] - sides[0] @ sides[0])
    found = ches(parameters, SIZES, PROMPTS, RESPONSES, normalized=normalized)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)
    scores = score_pairs(parameters, SIZES, PROMPTS, RESPONSES)
    np.testing.assert_allclose((scores.ches_normalized if normalized else scores.ches).numpy(), expected, atol=1e-9)
    assert abs(expected[0]) > 0.1


def test_identical_responses_have_no_ches_and_no_rate(parameters: torch.Tensor) -> None:
    scores = score_pairs(parameters, SIZES, PROMPTS, RESPONSES)
    for held in vars(scores).values():
        assert float(held[2]) == pytest.approx(0.0, abs=1e-9)
        assert abs(float(held[0])) > 1e-3


def test_users_have_the_scores_of_each_pair(lab: sim.World) -> None:
    pairs = lab.preferences(24, seed=2)
    table = sim.displacement(lab, pairs)
    known = lab.simulated
    expected = score_pairs(known.reference, known.architecture, pairs.prompts, pairs.responses)
    np.testing.assert_allclose(table["ches"], expected.ches)
    np.testing.assert_allclose(table["ches_normalized"] * 3**2, table["ches"])  # of three tokens each
    few = sim.displacement(
        lab, sim.Pairs(prompts=pairs.prompts[5:7], chosen=pairs.chosen[5:7], rejected=pairs.rejected[5:7])
    )
    np.testing.assert_allclose(few["displacement_rate"], table["displacement_rate"][5:7], rtol=1e-9)
    with pytest.raises(sim.ConfigError, match="must be Pairs"):
        sim.displacement(lab, [1])
