"""Methods against planted proxies: by laws computed here, and as whole sweeps."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simulator as sim
from simulator.engine.recorder import Recorder
from simulator.execution.run_stack import proxies_for, run_stack
from simulator.preferences.labelling import preferences
from simulator.proxies.scores import scorer_of
from simulator.sweeps.grid import expand
from tests.conftest import heard, small_sweep

PLANTED = {"kind": "planted", "error": "student", "degrees": 2.0}


def never(name: str) -> object:
    raise AssertionError(name)


def rows_of(lab: sim.World, method: str, *, seeds: object = 2) -> pd.DataFrame:
    """The curves of two seeds and two deviations of the error, in one stack."""
    sweep = {"method": method, "seeds": seeds, "proxy.noise": [0.5, 2.0]}
    runs = expand(small_sweep(proxy=PLANTED, sweep=sweep))
    assert len({run.stack_key for run in runs}) == 1
    proxies = proxies_for(runs, lab.simulated, never)  # type: ignore[arg-type]
    return run_stack(runs, lab.simulated, proxies, Recorder())


@pytest.mark.parametrize("method", ["gibbs", "best_of_n"])
def test_laws_against_a_planted_proxy_are_those_computed_here(method: str, lab: sim.World) -> None:
    here, rows = lab.simulated, rows_of(lab, method)
    reference, gold = np.exp(here.reference_log_probs.numpy()), here.listing.gold
    for (seed, noise), path in rows.groupby(["seed", "proxy_noise"]):
        table = sim.planted_proxy(lab, error="student", degrees=2.0, noise=noise, seed=seed).ensemble.table
        for _, row in path.iloc[::5].iterrows():
            if method == "gibbs":
                law = reference * np.exp((table - table.max(axis=1, keepdims=True)) / row["tau"])
                law /= law.sum(axis=1, keepdims=True)
            else:
                law = np.empty_like(table)
                for at, (scores, weights) in enumerate(zip(table, reference, strict=True)):
                    for number, score in enumerate(scores):
                        below, upto = weights[scores < score].sum(), weights[scores <= score].sum()
                        law[at, number] = upto ** row["n"] - below ** row["n"]  # no two responses have one score
            assert row["gold"] == pytest.approx((law * gold).sum(axis=1).mean(), abs=1e-8)
            assert row["proxy"] == pytest.approx((law * table).sum(axis=1).mean(), abs=1e-7)


def test_a_run_has_the_same_bits_alone(lab: sim.World) -> None:
    together, alone = rows_of(lab, "gibbs"), rows_of(lab, "gibbs", seeds=[1])
    same = together[together["run_id"].isin(alone["run_id"])]
    pd.testing.assert_frame_equal(same.reset_index(drop=True), alone.reset_index(drop=True), check_exact=True)


def test_a_planted_proxy_labels_by_its_own_scores(lab: sim.World) -> None:
    tables = {"data": {"labeller": "proxy", "pool": 64}, "sweep": {"loss": ["logistic"], "beta": [0.1], "seeds": 2}}
    runs = expand(small_sweep(proxy=PLANTED, **tables))
    scorer = scorer_of(lab.simulated, proxies_for(runs, lab.simulated, never))  # type: ignore[arg-type]
    pairs = preferences(runs, lab.simulated, scorer)
    scores = scorer.of(pairs.prompt, pairs.responses)
    assert (scores[..., 0] >= scores[..., 1]).all()
    gold = lab.simulated.gold_of(pairs.prompt, pairs.responses)
    assert (gold[..., 0] < gold[..., 1]).any()
    noisy = small_sweep(proxy=PLANTED, **{**tables, "data": {**tables["data"], "pairs": 7, "label_noise": 0.4}})
    assert [run.run_id for run in expand(noisy)] == [run.run_id for run in runs]  # nothing learns from gold's labels


def test_runs_of_trained_proxies_keep_their_names() -> None:
    """Keys of planted ones say nothing there, and the other way round."""

    def names(**proxy: object) -> list[str]:
        return [run.run_id for run in expand(small_sweep(proxy=proxy, sweep={"method": ["gibbs", "rl"], "seeds": 1}))]

    assert names() == names(kind="trained", error="thin", noise=3.0, degrees=9.0, correlation=0.1, growth=2.0)
    assert names() == ["gibbs-0-1d8b749c6b", "rl-0-0-5559d4995a"]  # as before there were planted ones
    assert names(kind="planted") == names(kind="planted", width=64, steps=3, loss="hinge", degrees=9.0)
    assert names(kind="planted") != names(kind="planted", noise=2.0)
    assert set(names()).isdisjoint(names(kind="planted"))


@pytest.mark.slow
def test_a_sweep_of_planted_and_trained_proxies_ends_goes_on_and_is_drawn(tmp_path: Path) -> None:
    proxy = {"width": 4, "steps": 4, "members": 2, "combine": "worst_case"}
    rl = {"algorithm": "exact"}
    grid = {"method": ["rl", "gibbs"], "seeds": 1, "proxy.kind": ["trained", "planted"]}
    sweep = small_sweep(proxy=proxy, rl=rl, train={"steps": 3, "checkpoints": 2}, sweep=grid)
    with heard():
        folder = sim.run_sweep(sweep, tmp_path / "out", workers=1)
    curves, proxies = pd.read_parquet(folder / "curves.parquet"), pd.read_parquet(folder / "proxies.parquet")
    assert len(list((folder / "proxies").glob("*.npz"))) == 2
    assert proxies["kind"].eq("planted").tolist() == [False, False, True, True]
    assert proxies["tail_index"].notna().sum() <= 2
    assert set(curves["proxy_kind"].dropna()) == {"trained", "planted"}
    planted = curves[curves["proxy_kind"] == "planted"]
    assert planted["proxy_parameters"].isna().all()
    before = curves.sort_values(["run_id", "step"], ignore_index=True)
    (folder / "curves.parquet").unlink()
    with heard():
        sim.run_sweep(sweep, folder, workers=1)
    again = pd.read_parquet(folder / "curves.parquet").sort_values(["run_id", "step"], ignore_index=True)
    pd.testing.assert_frame_equal(again, before, check_exact=True)
    names = pd.read_parquet(folder / "proxies.parquet")["proxy"]
    assert names.tolist() == proxies["proxy"].tolist()
