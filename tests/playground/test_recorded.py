"""What Python's runs came to, as it is kept beside the page: of this code, and what this code gives."""

import json
from importlib.resources import files
from pathlib import Path

import pytest

from analysis.playground.lessons import SEEDS, lessons_and_words, questions
from simulator.api.world import World
from simulator.playground.command import open_sweep
from simulator.playground.python_runs import MEASURES, answer, ends_of
from simulator.playground.recorded import named, recorded_runs
from simulator.storage.provenance import results_source
from simulator.sweeps.sweep import Sweep


@pytest.fixture(scope="module")
def opened() -> tuple[Sweep, World]:
    return open_sweep(Path("playground"), (), served=False, out=Path("page.html"))


def test_the_record_is_of_this_code_and_these_lessons(opened: tuple[Sweep, World]) -> None:
    kept = json.loads((files("simulator.playground") / "recorded.json").read_text())
    assert kept["results_source"] == results_source(), "python docs/playground.py"
    assert kept["runs"] == named(opened[0], questions(), SEEDS), "python docs/playground.py"
    assert recorded_runs(opened[0], questions(), SEEDS) == kept
    assert recorded_runs(opened[0], questions()[1:], SEEDS) is None
    assert len(kept["ends"]) == 6 * 8 * 4


def test_the_record_is_what_python_gives(opened: tuple[Sweep, World]) -> None:
    """One of its numbers, and one of its answers. After 600 steps another processor may give others: near to them."""
    kept, (_, world) = recorded_runs(opened[0], questions(), SEEDS), opened
    assert kept is not None
    for name, end in ends_of(world, ["logistic"], [3.0], 2).items():
        assert list(end) == pytest.approx(kept["ends"][name], abs=0.3)
    found, was = answer(world, questions()[0][1], SEEDS), kept["expects"][0][1]
    assert found["means"][0]["mean"] == pytest.approx(was["means"][0]["mean"], abs=was["means"][0]["half"])


def test_lessons_are_whole() -> None:
    """Each question asks for one of what is measured, has its answers, and texts for whatever comes out."""
    lessons, words = lessons_and_words()
    assert [lesson["id"] for lesson in lessons] == [1, 2, 3, 4, 5, 6]
    assert all(lesson["total"] < 10 for lesson in lessons)
    assert len({word["id"] for word in words}) == len(words)
    for lesson in lessons:
        assert lesson["question"][-1]["name"].startswith("Exercise")
        for question in lesson["question"]:
            assert question["measure"] in {*MEASURES, "best_of_n"}
            assert set(question.get("also", [])) <= MEASURES.keys()
            assert len(question["runs"]) in (1, 2)
            assert question["explain"]
            assert question["teacher"]
            if "number" not in question:
                assert len(question["answers"]) == 3
                assert all(question[which] for which in ("more", "less", "unsure"))
            texts = " ".join(question.get(name, "") for name in ("more", "less", "unsure", "explain"))
            names = {"a", "b", "d", "size", *question.get("also", [])}
            assert {part.split("}")[0] for part in texts.split("{")[1:]} <= names


@pytest.mark.parametrize(
    "term", ["overoptimization", "Goodhart's law", "reward hacking", "nat", "Bradley-Terry", "Gibbs"]
)
def test_terms_are_explained(term: str) -> None:
    """Where they first stand in the lessons they are set apart, and the list of words has them."""
    lessons, words = lessons_and_words()
    assert any(term in word["name"] for word in words)
    first = next(lesson for lesson in lessons if term in lesson["intro"] or term in str(lesson["question"]))
    assert f"*{term}" in first["intro"]
