"""Tables that cannot be what they are taken for are refused, and several folders become one table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import (
    ResultsError,
    best,
    claims,
    compare,
    frontier,
    kappa_collapse,
    load,
    pareto_front,
    peaks,
    tradeoffs,
    training_curves,
    variants,
)
from analysis.records.checks import balanced
from analysis.records.load import oracle_rows
from simulator import run_sweep
from tests.conftest import small_sweep
from tests.helpers import synthetic_curves as planted

EVERY = {
    "frontier": frontier,
    "tradeoffs": tradeoffs,
    "pareto_front": pareto_front,
    "peaks": peaks,
    "best": best,
    "training_curves": training_curves,
    "kappa_collapse": kappa_collapse,
    "claims": claims,
    "compare": lambda curves: compare(curves, "a", "b"),
}


@pytest.fixture
def sweep() -> pd.DataFrame:
    truth = {"a": planted.hump, "b": planted.hump}
    return planted.sweep(np.random.default_rng(0), seeds=3, truth=truth, steps=3)


@pytest.mark.parametrize("name", EVERY)
def test_every_function_looks_at_what_it_is_given(name: str, sweep: pd.DataFrame) -> None:
    again = sweep.assign(run_id=sweep["run_id"] + "x")
    for wrong, words in (
        (pd.concat([sweep, sweep]), r"run a-0\.01-0 has two rows at step 0, as if records were put together twice"),
        (pd.concat([sweep, again]), r"2 runs stand at one place \(loss a, beta 0\.01, seed 0.*load\(\[DIR"),
        (sweep.drop(columns="kl"), "curves: lack the column kl; take the table that load"),
        (sweep.assign(gold="much"), "the column gold must hold numbers"),
    ):
        with pytest.raises(ResultsError, match=words):
            EVERY[name](wrong)


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(ResultsError, match=r"curves \(=PosixPath\): must be the table that load\(DIR\) returns"):
        frontier(Path("results"))  # type: ignore[arg-type]
    with pytest.raises(ResultsError, match="curves: lack the column run_id"):
        variants(pd.DataFrame({"loss": ["a"]}))


def test_the_oracle_stands_once_and_two_worlds_are_refused(sweep: pd.DataFrame) -> None:
    one = planted.oracle([0.5, 2.0, 6.0], [1.0, 1.6, 1.9])
    alone = tradeoffs(pd.concat([sweep, one], ignore_index=True))
    doubled = tradeoffs(pd.concat([sweep, one, one], ignore_index=True))
    pd.testing.assert_frame_equal(alone, doubled)
    assert alone["regret"].notna().all()
    other = one.assign(gold=one["gold"] * 2)
    with pytest.raises(ResultsError, match="oracles of two worlds, or golds, that no column tells apart"):
        tradeoffs(pd.concat([sweep, one, other], ignore_index=True))


def test_each_world_has_its_own_oracle(sweep: pd.DataFrame) -> None:
    low, high = planted.oracle([1.0, 6.0], [2.0, 3.0]), planted.oracle([1.0, 6.0], [4.0, 6.0])
    parts = [sweep.assign(world_seed=0), sweep.assign(world_seed=1, run_id=sweep["run_id"] + "w")]
    both = pd.concat([*parts, low.assign(world_seed=0), high.assign(world_seed=1)], ignore_index=True)
    table = tradeoffs(both).set_index(["loss", "world_seed"])
    for seed, best_of_world in ((0, low), (1, high)):
        alone = tradeoffs(pd.concat([sweep, best_of_world], ignore_index=True)).set_index("loss")
        assert table.loc[("a", seed), "regret"] == pytest.approx(alone.loc["a", "regret"])
    assert tradeoffs(both, pool="world_seed")["regret"].isna().all()


def test_nothing_that_varies_is_averaged_unasked(sweep: pd.DataFrame) -> None:
    """Three noises whose curves differ: each apart, unless it is pooled, and then the result says so."""
    parts = [
        sweep.assign(label_noise=noise, gold=sweep["gold"] * (1 - 2 * noise), run_id=sweep["run_id"] + str(noise))
        for noise in (0.0, 0.1, 0.3)
    ]
    curves = pd.concat(parts, ignore_index=True)
    apart = frontier(curves)
    assert list(apart.columns[:2]) == ["loss", "label_noise"]
    for noise, part in zip((0.0, 0.1, 0.3), parts, strict=True):
        own, alone = apart[apart["label_noise"] == noise], frontier(part)
        near = np.interp(alone["kl"], own["kl"][own["loss"] == "a"], own["gold"][own["loss"] == "a"])[:50]
        np.testing.assert_allclose(near, alone.loc[alone["loss"] == "a", "gold"][:50], atol=0.01)
    named = frontier(curves, by=["loss", "label_noise"])
    pd.testing.assert_frame_equal(named, apart)
    assert len(tradeoffs(curves)) == 6
    pooled = frontier(curves, pool="label_noise")
    assert set(pooled["pooled"]) == {"label_noise 0, 0.1, 0.3"}
    assert set(pooled["seeds"]) == {3}
    assert set(tradeoffs(curves, pool=["label_noise"])["pooled"]) == {"label_noise 0, 0.1, 0.3"}
    with pytest.raises(ValueError, match=r'vary in label_noise 0, 0\.1, 0\.3, too: .* by=\["loss", "label_noise"\]'):
        compare(curves, "a", "b")
    by = ["loss", "label_noise"]
    assert compare(curves, ("a", 0.0), ("a", 0.3), by=by).verdict == "a dominates"
    assert compare(curves, "a", "b", pool="label_noise").pooled == "label_noise 0, 0.1, 0.3"
    with pytest.raises(ValueError, match="pool = 'gold': must be a setting of the curves"):
        frontier(curves, pool="gold")
    assert set(frontier(curves, by="label_noise")["loss"]) == {"a", "b"}


def test_all_seeds_of_a_frontier_enter_everywhere(sweep: pd.DataFrame) -> None:
    """A beta at which two of three seeds diverged is left out; a seed that has only begun is, too."""
    lost = (sweep["loss"] == "a") & (sweep["beta"] == 0.1) & (sweep["seed"] > 0) & (sweep["step"] == 2)
    diverged = sweep.assign(status=sweep["status"].where(~lost, "diverged"))
    without = sweep[(sweep["loss"] != "a") | (sweep["beta"] != 0.1)]
    pd.testing.assert_frame_equal(frontier(diverged), frontier(without))
    begun = sweep[(sweep["seed"] < 2) | (sweep["beta"] == 10.0)]
    found, two = frontier(begun), frontier(sweep[sweep["seed"] < 2])
    assert set(found["seeds"]) == {2}
    pd.testing.assert_frame_equal(found, two)


def test_what_is_left_out_of_a_table_with_holes_is_little() -> None:
    table = pd.DataFrame(np.arange(24.0).reshape(4, 6))
    assert balanced(table).equals(table)
    one = table.copy()
    one.iloc[1, 2] = np.nan
    assert balanced(one).equals(table.drop(columns=2))
    late = table.copy()
    late.iloc[3, 1:] = np.nan
    assert balanced(late).equals(table.drop(index=3))
    assert balanced(table * np.nan).size == 0


@pytest.mark.slow
def test_several_folders_are_one_table_with_what_differs(tmp_path: Path) -> None:
    one = {"sweep": {"loss": ["logistic"], "beta": [0.1], "seeds": 2}, "train": {"steps": 10, "checkpoints": 3}}
    folders = []
    for name, more in (
        ("plain", {}),
        ("noisy", {"data": {"label_noise": 0.2}}),
        ("fast", {"train": {"steps": 10, "checkpoints": 3, "learning_rate": 0.02}}),
        ("elsewhere", {"world": {"seed": 7}}),
    ):
        folders.append(run_sweep(small_sweep(**{**one, **more}), tmp_path / name, workers=1))
    plain, noisy, fast, elsewhere = folders
    noise = load(plain, noisy)
    assert set(noise.loc[noise["method"] == "gpo", "label_noise"]) == {0.0, 0.2}
    assert oracle_rows(noise)["beta"].is_unique
    assert set(frontier(noise)["label_noise"]) == {0.0, 0.2}
    rates = load([plain, fast])
    assert set(rates.loc[rates["method"] == "gpo", "train_learning_rate"]) == {0.01, 0.02}
    assert oracle_rows(rates)["train_learning_rate"].isna().all()
    worlds = load(plain, elsewhere)
    assert oracle_rows(worlds).groupby("world_seed").size().tolist() == [len(oracle_rows(load(plain)))] * 2
    assert tradeoffs(worlds)["regret"].notna().all()
    assert load(plain).equals(load([plain]))
    pd.testing.assert_frame_equal(load(plain, plain)[load(plain).columns], load(plain))
    (plain / "config.toml").unlink()
    with pytest.raises(ResultsError, match=r"config\.toml: cannot be read .* what differs between folders is"):
        load(plain, noisy)
