"""What is recorded of trained policies at the end, against the law of all responses and against samples."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import simulator as sim
from simulator.measurement.policy_summary import EDGES, bins_of
from simulator.methods.algorithms.final_tables import margin_rows, spell
from simulator.sweeps.grid import expand
from tests.conftest import small_sweep


def told_of(sweep: sim.Sweep, folder: Path) -> dict[str, pd.DataFrame]:
    """The tables of a sweep that has run."""
    out = sim.run_sweep(sweep, folder, workers=1)
    return {name: pd.read_parquet(out / f"{name}.parquet") for name in ("curves", "responses", "gold_law")}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    sweep = small_sweep(sweep={"loss": ["logistic"], "seeds": 1})
    return told_of(sweep, tmp_path_factory.mktemp("told") / "out")


def test_the_reference_says_what_its_law_says(lab: sim.World) -> None:
    portrait = lab.simulated.summarize(lab.reference.parameters.expand(2, -1))
    law = lab.reference.log_prob(lab.prompts, lab.responses.expand(3, -1, -1))[0]
    for place in range(3):
        best = law[place].topk(8)[0]
        np.testing.assert_allclose(portrait.log_probs[0, place, :8].numpy(), best.numpy(), rtol=1e-5)
    np.testing.assert_allclose(portrait.proxy.numpy(), 0.0, atol=1e-5)
    np.testing.assert_allclose(portrait.law[1].numpy(), portrait.reference_law.numpy(), atol=1e-6)
    assert float(portrait.reference_law.sum()) == pytest.approx(1.0)


def test_responses_are_the_likeliest_and_each_is_there_once(told: dict[str, pd.DataFrame]) -> None:
    responses = told["responses"]
    groups = responses.groupby(["run_id", "prompt"])
    assert len(groups) == 3 * 3
    for _, table in groups:
        assert 8 <= len(table) <= 16
        assert not table["response"].duplicated().any()
        assert table["probability"].is_monotonic_decreasing
        assert table["probability"].sum() <= 1 + 1e-9
    np.testing.assert_allclose(
        responses["proxy"], np.log(responses["probability"]) - np.log(responses["reference"]), atol=1e-6
    )


def test_responses_have_their_part_of_gold_and_where_they_break_the_grammar(told: dict[str, pd.DataFrame]) -> None:
    """What breaks the grammar has less from fluency, and a sign for each of its tokens."""
    responses = told["responses"].drop_duplicates(["prompt", "response"])
    broken = responses["breaks"].ne("")
    assert broken.any()
    assert (responses.loc[broken, "breaks"].str.len() == responses.loc[broken, "response"].str.len()).all()
    assert set("".join(responses["breaks"])) == {".", "x"}
    assert responses.loc[broken, "fluency"].mean() < responses.loc[~broken, "fluency"].mean()
    assert (responses["reference"][broken].max()) < responses["reference"][~broken].max()


def test_the_law_of_gold_has_the_mean_that_the_curves_have(told: dict[str, pd.DataFrame]) -> None:
    curves = told["curves"]
    for run, table in told["gold_law"].groupby("run_id"):
        end = curves[curves["run_id"] == run].iloc[-1]
        assert table["probability"].sum() == pytest.approx(1.0, abs=1e-4)
        assert (table["probability"] * table["gold"]).sum() == pytest.approx(end["gold"], abs=0.13)  # half a bin
        assert (table["reference"] * table["gold"]).sum() == pytest.approx(0.0, abs=0.13)


def test_bins_hold_what_their_edges_say() -> None:
    gold = torch.tensor([-50.0, -8.0, -7.75, 0.0, 0.1, 11.9, 99.0])
    places = bins_of(gold).tolist()
    assert (places[0], places[-1]) == (0, len(EDGES) - 2)
    for value, place in zip(gold.tolist()[1:-1], places[1:-1], strict=True):
        assert EDGES[place] <= value < EDGES[place + 1]


def test_margins_are_those_toward_more_gold() -> None:
    gaps = torch.linspace(-3, 3, 60)[None]
    runs = expand(small_sweep(sweep={"loss": ["logistic"], "beta": [0.1], "seeds": 1}))
    table = margin_rows(runs, 2 * gaps, gaps, np.array([True]))
    np.testing.assert_allclose(table["margin"], 2 * table["gap"], rtol=1e-6)
    assert (table["gap"] > 0).all()
    assert table["gap"].is_monotonic_increasing
    assert table["pairs"].sum() == 60
    assert margin_rows(runs, gaps, gaps, np.array([False])).empty


def test_quantiles_of_the_margin_are_in_order_and_zero_at_the_reference(
    told: dict[str, pd.DataFrame],
) -> None:
    curves = told["curves"].query("method == 'gpo'")
    names = [f"margin_q{level}" for level in ("05", "25", "50", "75", "95")]
    np.testing.assert_allclose(curves.loc[curves["step"] == 0, names], 0.0, atol=1e-5)
    assert (np.diff(curves[names], axis=1) >= 0).all()
    gap = curves["chosen_logratio"] - curves["rejected_logratio"]
    assert ((curves["margin_q05"] <= gap) & (gap <= curves["margin_q95"])).all()


def test_sampled_worlds_tell_of_their_samples(tmp_path: Path) -> None:
    sweep = small_sweep(
        world={"kind": "sampled", "vocabulary": 30, "response_length": 6, "prompts": 4},
        measure={"samples": 64, "baseline": 64},
        sweep={"loss": ["logistic"], "beta": [0.05], "seeds": 2},
    )
    tables = told_of(sweep, tmp_path / "out")
    curves, responses = tables["curves"], tables["responses"]
    assert responses["response"].str.split(" ").map(len).eq(6).all()
    assert len(responses.groupby(["run_id", "prompt"])) == 2 * 3
    for run, table in tables["gold_law"].groupby("run_id"):
        end = curves[curves["run_id"] == run].iloc[-1]
        assert table["probability"].sum() == pytest.approx(1.0, abs=1e-4)
        noise = 4 * end["gold_se"] + 4 * np.sqrt(table["gold"].var() / 256)
        assert (table["probability"] * table["gold"]).sum() == pytest.approx(end["gold"], abs=0.13 + noise)


def test_tokens_are_read_as_letters_numbers_or_text() -> None:
    assert spell([0, 3, 25, -1, -1], small_sweep(world={"vocabulary": 26})) == "adz"
    assert spell([0, 40], small_sweep(world={"vocabulary": 41, "response_length": 2})) == "0 40"
    text = small_sweep(world={"kind": "sampled", "vocabulary": 256, "language": {"text": "any.txt"}})
    assert spell([72, 0xC3, 0xA4, 0xFF], text) == "Hä\\xff"


def test_diverged_runs_leave_no_portrait(tmp_path: Path) -> None:
    sweep = small_sweep(
        train={"learning_rate": 1e6, "clip": 0.0, "optimizer": "adam"},
        sweep={"loss": ["exponential"], "beta": [1e6, 1e-6], "seeds": 1},
    )
    folder = sim.run_sweep(sweep, tmp_path / "out", workers=1)
    runs = pd.read_parquet(folder / "runs.parquet")
    finished = set(runs.loc[runs["status"] == "finished", "run_id"])
    path = folder / "responses.parquet"
    assert (set(pd.read_parquet(path)["run_id"]) if path.exists() else set()) == finished
    assert "diverged" in set(runs["status"])
