"""The judge, ranks and sums of the compiled engine against torch's."""

import numpy as np
import pytest
import torch

from gold_rewards.encoder import make_encoder
from simulator.measurement.estimators import placement, weighted_placement, win_probability
from simulator.measurement.listed_sums import PARTS, listed_sums, sums_of
from simulator.native import library
from simulator.native.listed import placements
from simulator.worlds.components import EncoderByEngine
from tests.helpers.engines import instructions as instructions
from tests.helpers.engines import needs_engine

pytestmark = needs_engine


@pytest.mark.parametrize(("vocabulary", "prompt", "length"), [(64, 8, 16), (8, 2, 4), (5, 1, 1), (3, 2, 3)])
def test_the_judge_scores_as_the_encoder_does(instructions: str, vocabulary: int, prompt: int, length: int) -> None:
    rng = np.random.default_rng(0)
    encoder = make_encoder(vocabulary=vocabulary, prompt_length=prompt, response_length=length, rng=rng)
    prompts, responses = rng.integers(vocabulary, size=(37, prompt)), rng.integers(vocabulary, size=(37, length))
    if length > 2:
        responses[::3, -2:] = -1
    fused = EncoderByEngine(reward=encoder)
    assert fused(prompts, responses) == pytest.approx(encoder(prompts, responses), abs=2e-5)
    assert fused(prompts[5:9], responses[5:9]).tolist() == fused(prompts, responses)[5:9].tolist()
    assert fused.rules() == encoder.rules()


def test_ranks_are_exactly_those_of_sorting(instructions: str) -> None:
    generator = torch.Generator().manual_seed(0)
    for count, others in ((7, 37), (1, 1), (8, 16), (3, 5)):
        a, b = (torch.randn(2, 3, size, generator=generator).double().round(decimals=1) for size in (count, others))
        wins, losses = placements(a, b)
        assert torch.equal(wins, placement(b.sort(dim=-1).values, a))
        assert torch.equal(losses, weighted_placement(a, None, b))


def test_win_rates_are_the_same_bits_without_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(1)
    scores, others = (torch.randn(runs, 6, 9, generator=generator).double() for runs in (3, 1))
    found = win_probability(scores, others, share=0.4)
    monkeypatch.setattr(library, "find", lambda: library.Found(library=None))
    without = win_probability(scores, others, share=0.4)
    assert torch.equal(found.mean, without.mean)
    assert torch.equal(found.error, without.error)


@pytest.mark.parametrize("responses", [1, 4, 9, 64])
def test_laws_that_are_not_finite_have_sums_that_are_not(instructions: str, responses: int) -> None:
    even = torch.full((3, 1, responses), 1 / responses, dtype=torch.float64).log()
    broken = even.clone()
    broken[0], broken[1, :, -1] = torch.nan, torch.nan
    sums = sums_of(listed_sums(broken, even[0], even[0].exp(), even[0].exp(), even), len(even))
    for value in (sums.mass, sums.kl, sums.log_prob, sums.reference_variance, *sums.tables):
        assert value[:, 0].isnan().tolist() == [True, True, False]


@pytest.mark.parametrize("responses", [1, 7, 64, 125])
def test_sums_over_responses(instructions: str, responses: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(2)

    def laws(*shape: int) -> torch.Tensor:
        return (3 * torch.randn(*shape, responses, generator=generator, dtype=torch.float64)).log_softmax(dim=-1)

    log_probs, reference, behaviour = laws(4, 3), laws(3), laws(3).exp()
    tables = torch.randn(2, 3, responses, generator=generator, dtype=torch.float64)
    parts = torch.randint(0, len(PARTS), (4, 3, responses), generator=generator).to(torch.uint8)
    parts[0, 0] = 1  # a policy none of whose responses is in a pair
    found = sums_of(listed_sums(log_probs, reference, reference.exp(), behaviour, tables, parts), 2)
    assert found.mass.numpy() == pytest.approx(1, abs=1e-13)
    monkeypatch.setattr(library, "find", lambda: library.Found(library=None))
    true = sums_of(listed_sums(log_probs, reference, reference.exp(), behaviour, tables, parts), 2)
    assert found.parts
    assert true.parts
    whole, by_part = (
        [{name: value for name, value in vars(sums).items() if name != "parts"} for sums in (found, true)],
        [vars(sums.parts) for sums in (found, true)],
    )
    for name, value in (whole[1] | by_part[1]).items():
        for mine, theirs in zip((whole[0] | by_part[0])[name], value, strict=True):
            assert mine.numpy() == pytest.approx(theirs.numpy(), rel=1e-12, abs=1e-13), name
