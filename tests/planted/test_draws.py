"""Numbers that follow from tokens: by a second implementation, by their laws, and in any order."""

import numpy as np
from scipy.stats import kstest, norm
from scipy.stats import t as student_law

from simulator.planted.draws import normal, states, student
from simulator.planted.law import Answers
from simulator.planted.laws.gaussian import LAW as GAUSSIAN

KEY = 2**64 - 12345
WORD = 2**64 - 1


def splitmix(state: int) -> int:
    """The finalizer, in whole numbers of any size."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & WORD
    return state ^ (state >> 31)


def state_of(key: int, prompt: list[int], tokens: list[int]) -> int:
    state, golden = key, 0x9E3779B97F4A7C15
    for token in prompt:
        state = splitmix(((state ^ (token & WORD)) + golden) & WORD)
    state = splitmix((state + golden) & WORD)
    for token in tokens:
        state = splitmix(((state ^ (token & WORD)) + golden) & WORD)
    return state


def answers(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Two prompts, and so many different responses to each."""
    numbers = rng.permutation(8**6)[:count]
    tokens = np.stack([numbers // 8**place % 8 for place in range(6)], axis=1)
    return np.array([[0, 3], [1, 2]]), np.stack([tokens, tokens])


def test_states_are_those_of_whole_numbers_of_any_size() -> None:
    prompts, tokens = np.array([[5, 1]]), np.array([[[0, 7, 3], [2, -1, -1]]])
    expected = [state_of(KEY, [5, 1], row) for row in tokens[0].tolist()]
    assert states(KEY, prompts, tokens)[0].tolist() == expected


def test_numbers_have_their_laws_and_those_of_other_keys_and_prompts_are_independent(rng: np.random.Generator) -> None:
    prompts, tokens = answers(rng, 20_000)
    z, other = normal(KEY, prompts, tokens), normal(KEY - 1, prompts, tokens)
    assert kstest(z.ravel(), norm.cdf).pvalue > 0.01
    assert kstest(student(KEY, prompts, tokens, 2.0).ravel(), student_law(2).cdf).pvalue > 0.01
    assert abs(np.corrcoef(z.ravel(), other.ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(z[0], z[1])[0, 1]) < 0.03
    order = np.argsort(tokens[0] @ 8 ** np.arange(6))  # neighbours that differ in one token
    assert abs(np.corrcoef(z[0][order][1:], z[0][order][:-1])[0, 1]) < 0.03


def test_a_response_has_its_number_in_any_order_and_company(rng: np.random.Generator) -> None:
    prompts, tokens = answers(rng, 50)
    z = GAUSSIAN.plant(None, {}, KEY).of  # type: ignore[arg-type]  # it looks at no listing

    def at(rows: list[int], places: list[int]) -> np.ndarray:
        nothing = np.zeros((len(rows), len(places)))
        few = tokens[rows][:, places]
        return z(Answers(prompts=prompts[rows], tokens=few, gold=nothing, log_reference=lambda: nothing))

    whole = at([0, 1], list(range(50)))
    assert at([1], [7, 3])[0].tolist() == whole[1, [7, 3]].tolist()
    assert at([1, 0], [49])[:, 0].tolist() == whole[[1, 0], 49].tolist()
