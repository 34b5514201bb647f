"""Sentiment as gold: VADER's own order of texts, and what is said where there is no text, or no VADER."""

import sys
from pathlib import Path

import numpy as np
import pytest

import simulator as sim
from gold_rewards import GOLD_REWARDS
from run import main
from simulator.sweeps.grid import expand
from tests.conftest import small_sweep

vader = pytest.importorskip("vaderSentiment.vaderSentiment", reason="the extra `sentiment` installs VADER")
SAID = ["the film was great.", "i hated the plot!!!", "not bad, really\n", "the story was quiet", "so so \U0001f60a"]
TEXT = {
    "world": {
        "language": {"text": "shipped:reviews", "end": "\n"},
        **{"prompts": 4, "prompt_length": 12, "response_length": 20},
    },
    "reference": {"steps": 40, "batch": 16},
    "gold": {"reward": "sentiment", "fluency": 0.0},
    "policy": {"width": 8},
    "measure": {"samples": 8, "baseline": 64},
}


def padded(texts: list[str]) -> np.ndarray:
    """Texts as token ids, with -1 behind their ends."""
    rows = [list(text.encode()) for text in texts]
    most = max(map(len, rows))
    return np.array([row + [-1] * (most - len(row)) for row in rows])


def test_a_score_is_that_of_vader() -> None:
    reward = GOLD_REWARDS["sentiment"](
        vocabulary=256, prompt_length=4, response_length=40, rng=np.random.default_rng(0)
    )
    analyzer = vader.SentimentIntensityAnalyzer()
    for opening in ("the ", "i am sad"):
        found = reward(padded([opening] * len(SAID)), padded(SAID))
        assert found.tolist() == [analyzer.polarity_scores(opening + text)["compound"] for text in SAID]
        assert (found[[0, 4]] > found[3]).all()
        assert found.argmin() == 1
    assert reward(padded(["the "]), np.array([[255, 254, 46]])).tolist() == [0.0]


def test_gold_orders_responses_as_vader_does() -> None:
    world = sim.make_world(sim.Sweep.model_validate(TEXT))
    pairs = world.preferences(64, seed=0, labels="deterministic")
    analyzer = vader.SentimentIntensityAnalyzer()

    def compound(prompt: list[int], response: list[int]) -> float:
        text = bytes(token for token in [*prompt, *response] if token >= 0)
        return analyzer.polarity_scores(text.decode("utf-8", "replace"))["compound"]

    sides = [
        np.array([compound(*row) for row in zip(pairs.prompts.tolist(), side.tolist(), strict=True)])
        for side in (pairs.chosen, pairs.rejected)
    ]
    gaps, gold = sides[0] - sides[1], (pairs.gold[:, 0] - pairs.gold[:, 1]).numpy()
    assert (gaps >= 0).all()
    assert gold * (gaps @ gaps) == pytest.approx(gaps * (gold @ gaps), abs=1e-5)


def test_it_needs_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"gold.reward \(=sentiment\) judges text and needs world.language.text"):
        small_sweep(gold={"reward": "sentiment"})
    assert main(["sweep", "--set", "gold.reward=sentiment", "--out", "out"]) == 2
    told = capsys.readouterr().err
    assert "gold.reward (=sentiment) judges text and needs world.language.text, a text file" in told
    assert told.count("\n") == 1
    with pytest.raises(ValueError, match=r"judges text, whose tokens are 256 bytes, and there are 4 tokens here"):
        GOLD_REWARDS["sentiment"](vocabulary=4, prompt_length=2, response_length=3, rng=np.random.default_rng(0))


def test_without_vader_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "vaderSentiment.vaderSentiment", None)
    assert main(["sweep", "sentiment", "--out", "out"]) == 2
    told = capsys.readouterr().err
    assert "sentiment needs the package vaderSentiment" in told.replace(": ", " ").replace(" = ", " ")
    assert "pip install 'alignment-simulator[sentiment]'" in told
    assert told.count("\n") == 1
    assert not Path("out").exists()


def test_the_shipped_sweep_expands() -> None:
    sweep = sim.Sweep.from_toml("sentiment")
    runs = expand(sweep)
    assert {run.loss for run in runs} == {"logistic", "squared", "simpo", None}
    assert {run.method for run in runs} == {"gpo", "best_of_n"}
    assert len(runs) == 3 * 5 * 2 + 2
    assert sweep.world.language.text == "shipped:reviews"
