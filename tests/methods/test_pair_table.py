"""`pairs.parquet`: of each pair its scores at the reference, and where it ends."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simulator as sim
from analysis import load_table
from tests.conftest import small_sweep

GRID = {"loss": ["logistic", "squared"], "beta": [0.05], "seeds": 2}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sweep = small_sweep(measure={"displacement": True, "pairs": 30}, sweep=GRID, train={"steps": 12, "checkpoints": 3})
    return sim.run_sweep(sweep, tmp_path_factory.mktemp("recorded") / "out", workers=1)


def test_pairs_are_those_of_the_run_with_their_scores(recorded: Path, lab: sim.World) -> None:
    table, runs = load_table(recorded, "pairs"), pd.read_parquet(recorded / "runs.parquet")
    assert set(table["run_id"]) == set(runs["run_id"])
    for run, rows in table.groupby("run_id"):
        pairs = lab.preferences(48, seed=int(runs.set_index("run_id")["seed"][run]))
        scores = sim.displacement(lab, pairs)
        assert rows["pair"].tolist() == list(range(30))
        for name in ("ches", "ches_normalized", "displacement_rate"):
            np.testing.assert_allclose(rows[name], scores[name][:30], rtol=1e-9, atol=1e-12)
        assert rows["chosen"].tolist() == [lab.spell(tokens) for tokens in pairs.chosen[:30]]
        assert rows["prompt"].tolist() == [lab.spell(tokens) for tokens in pairs.prompts[:30]]
        np.testing.assert_allclose(rows["gold_gap"], (pairs.gold[:30, 0] - pairs.gold[:30, 1]).numpy())


def test_log_ratios_are_those_of_the_policy_at_the_end(lab: sim.World) -> None:
    """And the column `displaced` counts the pairs whose chosen one is less likely than it was."""
    pairs = lab.preferences(48, seed=1)
    trained = sim.train(lab, pairs, loss="logistic", beta=0.05, seed=1, steps=12, checkpoints=3)
    asked, given = pairs.prompts, pairs.chosen[:, None]
    ratio = (trained.log_prob(asked, given) - lab.reference.log_prob(asked, given))[0, :, 0]
    end = trained.curves.iloc[-1]
    assert end["displaced"] == pytest.approx(float((ratio < -1e-5).double().mean()))
    assert 0 < end["displaced"] < 1
    assert trained.curves["displaced"].iloc[0] == 0
    assert float(lab.measure(trained, pairs=pairs)["displaced"].iloc[0]) == end["displaced"]


def test_ends_of_each_pair_are_in_the_table(recorded: Path, lab: sim.World) -> None:
    table, runs = load_table(recorded, "pairs"), pd.read_parquet(recorded / "runs.parquet")
    pairs = lab.preferences(48, seed=1)
    trained = sim.train(lab, pairs, loss="squared", beta=0.05, seed=1, steps=12, checkpoints=3)
    (run,) = runs.loc[(runs["loss"] == "squared") & (runs["seed"] == 1), "run_id"]
    for side in ("chosen", "rejected"):
        given = getattr(pairs, side)[:30, None]
        ratio = trained.log_prob(pairs.prompts[:30], given) - lab.reference.log_prob(pairs.prompts[:30], given)
        own = table.loc[table["run_id"] == run, f"{side}_logratio"]
        np.testing.assert_allclose(own, ratio[0, :, 0].numpy(), atol=1e-4)
        assert own.std() > 0.1


def test_nothing_is_recorded_unless_asked_for(results: Path) -> None:
    assert not (results / "pairs.parquet").exists()
    assert load_table(results, "pairs").empty


@pytest.mark.slow
def test_sampled_worlds_record_their_first_pairs(tmp_path: Path) -> None:
    sweep = small_sweep(
        world={"kind": "sampled", "vocabulary": 9, "response_length": 6, "prompts": 4, "language": {"stop": 0.2}},
        measure={"samples": 8, "baseline": 16, "pairs": 20, "displacement": True},
        data={"filter": "displacement", "filter_share": 0.5},
        train={"steps": 4, "checkpoints": 2},
        sweep={"loss": ["logistic"], "beta": [0.05], "seeds": 2},
    )
    table = load_table(sim.run_sweep(sweep, tmp_path / "out", workers=1), "pairs")
    assert table.groupby("run_id").size().tolist() == [20, 20]
    assert table["chosen_logratio"].notna().all()
    lengths = table["chosen"].str.len()
    assert lengths.min() < lengths.max()
