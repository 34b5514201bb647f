"""The synthetic language against enumeration of everything it can say."""

import itertools

import numpy as np
import pytest

from simulator.languages.language import grammar_breaks
from simulator.languages.markov import make_language
from simulator.networks.architecture import FILL
from simulator.networks.listing.prefix_tree import all_responses


@pytest.fixture
def language(rng):
    return make_language(vocabulary=4, length=3, topics=2, branching=2, slip=0.1, stop=0.0, rng=rng)


@pytest.fixture
def stopping(rng):
    """Three spoken tokens and one to end with."""
    return make_language(vocabulary=4, length=3, topics=2, branching=2, slip=0.1, stop=0.3, rng=rng)


def everything(language, prompt):
    texts = all_responses(4, 3)
    return texts, language.log_likelihood(np.repeat(prompt[None], len(texts), axis=0), texts)


def test_probabilities_of_all_responses_sum_to_one(language) -> None:
    _, logs = everything(language, np.array([1, 3]))
    assert np.exp(logs).sum() == pytest.approx(1)


def test_what_breaks_the_grammar_is_said_as_often_as_speakers_slip(language) -> None:
    """Two of four tokens follow another, and the other two share the slip; a speaker slips at each token alike."""
    prompt = np.array([1, 3])
    texts, logs = everything(language, prompt)
    breaks = language.breaks(np.repeat(prompt[None], len(texts), axis=0), texts)
    assert breaks.shape == texts.shape
    assert breaks.reshape(4, 4, 4, 3)[:, 0, 0, 0].sum() == 2
    slips = (np.exp(logs)[:, None] * breaks).sum(axis=0)
    assert slips == pytest.approx([0.1, 0.1, 0.1])
    clean = np.exp(logs[~breaks.any(axis=1)]).sum()
    assert clean == pytest.approx(0.9**3)


def test_an_end_breaks_no_grammar(stopping) -> None:
    prompts, texts = everything_that_may_end(np.array([0, 2]))
    breaks = grammar_breaks(stopping, prompts, texts)
    assert not breaks[(texts == FILL) | (texts == stopping.end)].any()
    assert breaks.any()
    assert not grammar_breaks(object(), prompts, texts).any()


def test_entropy_is_that_of_the_enumerated_law(language) -> None:
    prompts = np.array([[0, 2], [1, 3]])
    direct = [-(np.exp(logs) * logs).sum() for _, logs in (everything(language, p) for p in prompts)]
    assert language.entropy(prompts) == pytest.approx(direct)


def test_what_is_said_has_the_law_that_is_claimed(language, rng) -> None:
    prompt, draws = np.array([1, 0]), 100_000
    texts, logs = everything(language, prompt)
    said = language.draw_responses(np.repeat(prompt[None], draws, axis=0), rng)
    count = np.bincount(said @ [16, 4, 1], minlength=len(texts))
    expected = draws * np.exp(logs)
    chi2 = ((count - expected) ** 2 / expected).sum()
    assert chi2 < 63 + 4 * np.sqrt(2 * 63)


def everything_that_may_end(prompt):
    """Every response of up to three tokens out of 0, 1, 2, of which a shorter one ends with 3."""
    whole = [list(body) for body in itertools.product(range(3), repeat=3)]
    ended = [[*body, 3] + [FILL] * (2 - n) for n in range(3) for body in itertools.product(range(3), repeat=n)]
    return np.repeat(prompt[None], len(whole) + len(ended), axis=0), np.array(whole + ended)


def test_with_an_end_token_probabilities_sum_to_one_and_entropy_is_theirs(stopping) -> None:
    for prompt in (np.array([0, 2]), np.array([1, 1])):
        logs = stopping.log_likelihood(*everything_that_may_end(prompt))
        assert np.exp(logs).sum() == pytest.approx(1)
        assert stopping.entropy(prompt[None]) == pytest.approx(-(np.exp(logs) * logs).sum())


def test_with_an_end_token_responses_have_the_law_that_is_claimed(stopping, rng) -> None:
    assert (stopping.vocabulary, stopping.end) == (4, 3)
    prompt, draws = np.array([1, 0]), 60_000
    prompts, texts = everything_that_may_end(prompt)
    expected = draws * np.exp(stopping.log_likelihood(prompts, texts))
    said = stopping.draw_responses(np.repeat(prompt[None], draws, axis=0), rng)
    code = [25, 5, 1]
    found = dict(zip(*np.unique((said + 1) @ code, return_counts=True), strict=True))
    assert set(found) <= set(((texts + 1) @ code).tolist())
    count = np.array([found.get(number, 0) for number in (texts + 1) @ code])
    chi2 = ((count - expected) ** 2 / expected).sum()
    assert chi2 < len(texts) + 4 * np.sqrt(2 * len(texts))
    assert stopping.draw_prompts(prompts=6, length=3, rng=rng).max() < 3


def test_grammar_leaves_the_slip_to_ungrammatical_tokens(language) -> None:
    rows = np.sort(language.transition, axis=-1)
    assert rows[..., :2].sum(axis=-1) == pytest.approx(0.1)
    assert rows.sum(axis=-1) == pytest.approx(1)


def test_no_slip_where_every_token_is_grammatical(rng) -> None:
    language = make_language(vocabulary=3, length=3, topics=1, branching=3, slip=0.5, stop=0.0, rng=rng)
    assert language.transition.sum(axis=-1) == pytest.approx(1)


def test_prompts_differ_and_open_with_a_topic(language, rng) -> None:
    prompts = language.draw_prompts(prompts=6, length=2, rng=rng)
    assert len({tuple(p) for p in prompts}) == 6
    assert prompts[:, 0].max() < 2


def test_too_many_prompts_are_refused(language, rng) -> None:
    with pytest.raises(ValueError, match="only about 8 different prompts"):
        language.draw_prompts(prompts=9, length=2, rng=rng)


def test_say_is_reproducible(language) -> None:
    topic = np.array([0, 1])
    first, second = (language.continue_texts(topic, topic, 5, np.random.default_rng(3)) for _ in range(2))
    assert (first == second).all()
