"""A filter drops the pairs that it should, before anybody learns from them, and in every stack the same."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import simulator as sim
from simulator.preferences.filtering import places_kept
from simulator.settings.data_table import Data
from simulator.sweeps.grid import expand
from simulator.sweeps.unread_keys import unread_keys_of
from tests.conftest import small_sweep

FEW = {"steps": 6, "checkpoints": 2}
COLUMNS = ["step", "kl", "gold", "train_loss", "chosen_logratio", "displaced"]


def filtered(by: str, share: float = 0.25, **tables: dict[str, object]) -> sim.Sweep:
    grid = {"loss": ["logistic"], "beta": [0.1], "seeds": 2, **tables.pop("sweep", {})}
    data = {"filter": by, "filter_share": share, **tables.pop("data", {})}
    return small_sweep(train=FEW, data=data, sweep=grid, **tables)


@pytest.mark.parametrize(
    ("by", "column", "sign"), [("ches", "ches_normalized", -1), ("displacement", "displacement_rate", 1)]
)
def test_the_pairs_of_the_largest_scores_are_dropped(lab: sim.World, by: str, column: str, sign: int) -> None:
    pairs = lab.preferences(48, seed=1)
    place = sim.make_world(filtered(by))
    left = place.preferences(48, seed=1)
    score = sign * sim.displacement(lab, pairs)[column].to_numpy()
    kept = np.sort(np.argsort(score, kind="stable")[12:])  # of equal scores any will do
    found = torch.cat([left.prompts, left.chosen, left.rejected], dim=1).tolist()
    expected = torch.cat([pairs.prompts, pairs.chosen, pairs.rejected], dim=1)
    assert sorted(found) == sorted(expected[kept].tolist())
    after = sign * sim.displacement(lab, left)[column].to_numpy()
    assert after.min() >= np.sort(score)[12] - 1e-12
    rows = [expected.tolist().index(row) for row in found]
    assert all(expected.tolist().index(row) == place for row, place in zip(found, rows, strict=True))


def test_what_is_kept_is_in_order_and_later_ones_of_a_tie() -> None:
    score = torch.tensor([3.0, 1.0, 2.0, 3.0, 0.0])
    assert places_kept(score, 4).tolist() == [1, 2, 3, 4]
    assert places_kept(score, 1).tolist() == [4]
    kept = [Data(filter="ches", filter_share=share).kept(10) for share in (0.0, 0.05, 0.29, 0.999)]
    assert kept == [10, 10, 7, 1]
    assert Data(filter_share=0.5).kept(10) == 10


def test_a_sweep_trains_on_what_is_left_alone_and_stacked(tmp_path: Path) -> None:
    """As `train` does on the same pairs, to the bit, and to none of the runs without a filter."""
    sweep = filtered("ches")
    curves = pd.read_parquet(sim.run_sweep(sweep, tmp_path / "out", workers=1) / "curves.parquet")
    curves = curves[curves["method"] == "gpo"]
    place = sim.make_world(sweep)
    for seed in (0, 1):
        pairs = place.preferences(seed=seed)
        assert len(pairs) == 36
        trained = sim.train(place, pairs, loss="logistic", beta=0.1, seed=seed)
        own = curves[curves["seed"] == seed]
        assert set(trained.curves["run_id"]) == set(own["run_id"])
        assert len(set(own["run_id"])) == 1
        pd.testing.assert_frame_equal(
            trained.curves[COLUMNS].reset_index(drop=True), own[COLUMNS].reset_index(drop=True), check_exact=True
        )
    given = sim.Pairs(prompts=pairs.prompts, chosen=pairs.chosen, rejected=pairs.rejected)
    same = sim.train(place, given, loss="logistic", beta=0.1, seed=1)
    assert same.curves["kl"].tolist() == trained.curves["kl"].tolist()
    assert set(same.curves["run_id"]) != set(trained.curves["run_id"])


@pytest.mark.slow
def test_proxies_learn_from_what_is_left(tmp_path: Path) -> None:
    sweep = filtered(
        "displacement",
        data={"labeller": "proxy", "pool": 40},
        proxy={"steps": 4, "width": 4},
        sweep={"seeds": 1},
    )
    out = sim.run_sweep(sweep, tmp_path / "out", workers=1)
    (proxies,) = pd.read_parquet(out / "proxies.parquet").to_dict("records")
    place = sim.make_world(sweep)
    pairs = place.preferences(seed=0)
    assert len(pairs) == 36
    proxy = sim.train_proxy(place, pairs, seed=0)
    assert proxy.facts["proxy"].tolist() == [proxies["proxy"]]
    assert proxy.facts["held_out_loss"].tolist() == [proxies["held_out_loss"]]
    pool = place.preferences(40, seed=0, labeller=proxy)
    assert len(pool) == 30
    trained = sim.train(place, pool, loss="logistic", beta=0.1, seed=0)
    curves = pd.read_parquet(out / "curves.parquet")
    assert trained.curves["kl"].tolist() == curves.loc[curves["method"] == "gpo", "kl"].tolist()


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"online": {"refresh": 2}}, "online.refresh (=2) draws more"),
        ({"sweep": {"loss": ["rpo_loo"]}}, "ranks several responses"),
        ({"data": {"filter": "chess"}}, "'none', 'ches' or 'displacement'"),
        ({"data": {"filter_share": 1.0}}, "should be less than 1"),
    ],
)
def test_what_a_filter_cannot_do_is_refused(tables: dict[str, dict[str, object]], message: str) -> None:
    with pytest.raises((sim.ConfigError, ValueError)) as refused:
        expand(filtered("ches", **tables))
    assert message in str(refused.value)


def test_ranked_responses_are_not_filtered() -> None:
    with pytest.raises(sim.ConfigError, match="responses = 4: data"):
        sim.make_world(filtered("ches")).preferences(8, responses=4)


def test_a_share_without_a_filter_is_reported() -> None:
    sweep = filtered("none", share=0.5)
    (said,) = unread_keys_of(sweep, expand(sweep))
    assert said.startswith('data.filter_share = 0.5: no run of this sweep reads it; only data.filter = "ches"')


def test_runs_without_a_filter_say_so_where_it_varies() -> None:
    sweep = small_sweep(sweep={"loss": ["logistic"], "beta": [0.1], "seeds": 1, "data.filter": ["none", "ches"]})
    plain = expand(small_sweep(sweep={"loss": ["logistic"], "beta": [0.1], "seeds": 1}))
    runs = expand(sweep)
    assert [run.columns()["filter"] for run in runs] == ["none", "ches"]
    assert runs[0].run_id == plain[0].run_id != runs[1].run_id
