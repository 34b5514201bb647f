"""Evolution against a planted optimum, and a search that was stopped against one that was not."""

import numpy as np
import pytest

from simulator.common.errors import ConfigError
from simulator.instruments.search import evolution as module
from simulator.instruments.search.evolution import (
    Evolution,
    Generation,
    OtherNumbersError,
    check_library,
    generations_of,
)
from simulator.instruments.search.family import KNOTS, Family, slopes

pytest.importorskip("cma")

Array = np.ndarray
Z = np.linspace(-5, 6, 80)
CONVEX = Family(convex=True)
PLANTED = CONVEX.start + np.array([-3, 1, -1, 0.5, -2, 2, 1, -1, 1, 2, -1, 0.5])


def distance_to_planted(parameters: Array) -> Array:
    """The root mean square distance of slopes to those of the planted loss, [n, 1]."""
    difference = slopes(Z, CONVEX.masses(parameters)) - slopes(Z, CONVEX.masses(PLANTED))
    return np.sqrt((difference**2).mean(axis=1, keepdims=True))


def run(count: int, known: tuple[Generation, ...] = (), seed: int = 3) -> tuple[Evolution, list[Generation]]:
    evolution = Evolution(CONVEX, population=12, seed=seed)
    return evolution, list(generations_of(evolution, distance_to_planted, count, known))


def test_a_planted_loss_is_found() -> None:
    evolution, _ = run(120)
    assert distance_to_planted(CONVEX.start[None]).item() > 0.3
    assert distance_to_planted(evolution.mean[None]).item() < 0.02
    found = slopes(Z, CONVEX.masses(evolution.mean))
    np.testing.assert_allclose(found, slopes(Z, CONVEX.masses(PLANTED)), atol=0.06)


def test_a_stopped_search_goes_on_to_the_same_bits() -> None:
    evolution, whole = run(9)
    _, first = run(5)
    again, both = run(9, known=tuple(first))
    assert np.array_equal(evolution.mean, again.mean)
    assert evolution.spread == again.spread
    for one, other in zip(whole, both, strict=True):
        assert np.array_equal(one.parameters, other.parameters)
        assert np.array_equal(one.regret, other.regret)


def test_what_is_known_is_not_evaluated_again() -> None:
    _, first = run(3)
    calls: list[int] = []

    def counted(parameters: Array) -> Array:
        calls.append(len(parameters))
        return distance_to_planted(parameters)

    list(generations_of(Evolution(CONVEX, population=12, seed=3), counted, 4, first))
    assert calls == [12]


def test_another_seed_has_other_candidates_and_no_share_in_a_history() -> None:
    _, first = run(2)
    _, other = run(2, seed=4)
    assert not np.array_equal(first[0].parameters, other[0].parameters)
    with pytest.raises(OtherNumbersError, match="generation 0"):
        run(2, known=tuple(other))


def test_candidates_begin_around_the_start() -> None:
    _, (first,) = run(1)
    assert first.parameters.shape == (12, len(KNOTS))
    away = (first.parameters - CONVEX.start) / CONVEX.spread
    assert 0.8 < away.std() < 1.2


def test_a_missing_library_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as error:
        check_library()
    assert str(error.value) == "search: needs cma, not installed here; pip install 'alignment-simulator[search]'"
