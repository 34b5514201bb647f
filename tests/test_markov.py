"""The synthetic language against enumeration of everything it can say."""

import numpy as np
import pytest

from simulator.enumeration import all_responses
from simulator.language import draw_prompts, draw_responses, entropy, log_likelihood, make_language, say


@pytest.fixture
def language(rng):
    return make_language(vocabulary=4, topics=2, branching=2, slip=0.1, rng=rng)


def everything(language, prompt):
    texts = all_responses(4, 3)
    return texts, log_likelihood(language, np.repeat(prompt[None], len(texts), axis=0), texts)


def test_probabilities_of_all_responses_sum_to_one(language) -> None:
    _, logs = everything(language, np.array([1, 3]))
    assert np.exp(logs).sum() == pytest.approx(1)


def test_entropy_is_that_of_the_enumerated_law(language) -> None:
    prompts = np.array([[0, 2], [1, 3]])
    direct = [-(np.exp(logs) * logs).sum() for _, logs in (everything(language, p) for p in prompts)]
    assert entropy(language, prompts, 3) == pytest.approx(direct)


def test_what_is_said_has_the_law_that_is_claimed(language, rng) -> None:
    prompt, draws = np.array([1, 0]), 100_000
    texts, logs = everything(language, prompt)
    said = draw_responses(language, np.repeat(prompt[None], draws, axis=0), 3, rng)
    count = np.bincount(said @ [16, 4, 1], minlength=len(texts))
    expected = draws * np.exp(logs)
    chi2 = ((count - expected) ** 2 / expected).sum()
    assert chi2 < 63 + 4 * np.sqrt(2 * 63)


def test_grammar_leaves_the_slip_to_ungrammatical_tokens(language) -> None:
    rows = np.sort(language.transition, axis=-1)
    assert rows[..., :2].sum(axis=-1) == pytest.approx(0.1)
    assert rows.sum(axis=-1) == pytest.approx(1)


def test_no_slip_where_every_token_is_grammatical(rng) -> None:
    language = make_language(vocabulary=3, topics=1, branching=3, slip=0.5, rng=rng)
    assert language.transition.sum(axis=-1) == pytest.approx(1)


def test_prompts_differ_and_open_with_a_topic(language, rng) -> None:
    prompts = draw_prompts(language, prompts=6, length=2, rng=rng)
    assert len({tuple(p) for p in prompts}) == 6
    assert prompts[:, 0].max() < 2


def test_too_many_prompts_are_refused(language, rng) -> None:
    with pytest.raises(ValueError, match="only about 8 different prompts"):
        draw_prompts(language, prompts=9, length=2, rng=rng)


def test_say_is_reproducible(language) -> None:
    topic = np.array([0, 1])
    first, second = (say(language, topic, topic, 5, np.random.default_rng(3)) for _ in range(2))
    assert (first == second).all()
