"""What is trained by hand has the bits of what a sweep records."""

from pathlib import Path

import pandas as pd
import pytest

import simulator as sim
from tests.conftest import heard, small_sweep

SAMPLED = {"world": {"kind": "sampled", "prompts": 4}, "measure": {"prompts": 3, "samples": 8, "baseline": 16}}


def recorded(sweep: sim.Sweep, folder: Path) -> pd.DataFrame:
    with heard():  # keys that only some methods read
        return pd.read_parquet(sim.run_sweep(sweep, folder, workers=1) / "curves.parquet")


def same(curves: pd.DataFrame, records: pd.DataFrame, runs: int) -> bool:
    """Whether every number of `curves` stands in the records of the same runs; what differs is shown."""
    assert curves["run_id"].nunique() == runs
    theirs = records[records["run_id"].isin(curves["run_id"])]
    order = ["run_id", "step"]
    shared = [name for name in curves if name in theirs]
    assert {"kl", "gold", "proxy", "win_rate", "train_loss", "margin_q95", "entropy"} <= set(shared)
    pd.testing.assert_frame_equal(
        curves.sort_values(order, ignore_index=True)[shared],
        theirs.sort_values(order, ignore_index=True)[shared],
        check_exact=True,
    )
    return True


@pytest.mark.parametrize("kind", [{}, SAMPLED], ids=["enumerable", "sampled"])
def test_three_runs_by_hand_have_the_bits_of_a_sweep(kind: dict[str, dict[str, object]], tmp_path: Path) -> None:
    sweep = small_sweep(**kind, sweep={"loss": ["logistic", "squared", "kto"], "beta": [0.05, 0.5], "seeds": 2})
    records = recorded(sweep, tmp_path / "sweep")
    world = sim.make_world(sweep)
    policies = [
        sim.train(world, world.preferences(seed=1), loss=loss, beta=beta, seed=1)
        for loss, beta in (("logistic", 0.05), ("squared", 0.5), ("kto", 0.5))
    ]
    curves = pd.concat([policy.curves for policy in policies], ignore_index=True)
    assert same(curves, records, 3)
    together = sim.train(world, world.preferences(seed=0), loss=["logistic", "kto"], beta=[0.05, 0.5], seed=0)
    assert same(together.curves, records, 4)
    several = [world.preferences(seed=seed) for seed in (0, 1)]
    assert same(sim.train(world, several, loss="squared", beta=0.05, seed=[0, 1]).curves, records, 2)
    ends = records[records["step"] == 40].set_index("run_id")
    measured = world.measure(policies[0])
    columns = ["kl", "kl_se", "gold", "gold_se", "win_rate", "proxy", "entropy", "mu_squared"]
    assert measured[columns].iloc[0].tolist() == ends.loc[measured["run_id"][0], columns].tolist()


@pytest.mark.parametrize("kind", [{}, SAMPLED], ids=["enumerable", "sampled"])
def test_methods_against_proxies_have_the_bits_of_a_sweep(kind: dict[str, dict[str, object]], tmp_path: Path) -> None:
    sweep = small_sweep(
        **kind,
        proxy={"width": 16, "steps": 30, "members": 2, "combine": "mean"},
        best_of_n={"largest": 8, "pool": 32},
        rl={"algorithm": "ppo", "responses": 4},
        sweep={"method": ["rl", "best_of_n"], "penalty": [0.0, 0.2], "seeds": 2},
    )
    records = recorded(sweep, tmp_path / "sweep")
    world = sim.make_world(sweep)
    proxy = sim.train_proxy(world, world.preferences(seed=1), seed=1)
    curves = sim.train(world, proxy, method="rl", penalty=[0.0, 0.2], seed=1).curves
    theirs = records[records["run_id"].isin(curves["run_id"])]
    columns = ["step", "kl", "gold", "gold_se", "proxy", "proxy_se", "win_rate"]
    assert len(theirs) == len(curves) == 12
    pd.testing.assert_frame_equal(curves[columns], theirs[columns].reset_index(drop=True), check_exact=True)
    best = sim.best_of_n(world, proxy, [8, 1, 2], pool=32).set_index("n")
    theirs = records[(records["method"] == "best_of_n") & (records["seed"] == 1)].set_index("n")
    assert best[["kl", "gold", "proxy"]].equals(theirs.loc[[1, 2, 8], ["kl", "gold", "proxy"]])


@pytest.mark.parametrize(
    ("tables", "loss"),
    [
        ({"data": {"pairs": 48, "labeller": "proxy", "pool": 64}}, "logistic"),
        ({"objective": {"rpo": {"reward": "proxy"}}}, "rpo_squared"),
        ({"online": {"refresh": 20, "pairs": 16, "labeller": "proxy"}}, "logistic"),
        ({"online": {"refresh": 20, "pairs": 16, "keep": "newest"}}, "vpo"),
    ],
    ids=["labels", "rewards", "online by a proxy", "online"],
)
def test_what_a_proxy_labels_has_the_bits_of_a_sweep(
    tables: dict[str, dict[str, object]], loss: str, tmp_path: Path
) -> None:
    sweep = small_sweep(**tables, proxy={"width": 16, "steps": 30}, sweep={"loss": [loss], "beta": [0.1], "seeds": 1})
    records = recorded(sweep, tmp_path / "sweep")
    world = sim.make_world(sweep, {"data.labeller": "gold"})
    gold = world.preferences(48)
    proxy = sim.train_proxy(world, gold)
    pairs = world.preferences(64, labeller=proxy) if "data" in tables else gold
    assert same(sim.train(world, pairs, loss=loss, beta=0.1, proxy=proxy).curves, records, 1)


@pytest.mark.parametrize("reward", ["gold", "proxy"])
@pytest.mark.parametrize("labeller", ["gold", "proxy"])
def test_responses_that_are_ranked_have_the_bits_of_a_sweep(labeller: str, reward: str, tmp_path: Path) -> None:
    sweep = small_sweep(
        data={"labeller": labeller, "pool": 64},
        objective={"rpo": {"reward": reward}},
        proxy={"width": 16, "steps": 30},
        sweep={"loss": ["rpo_loo"], "beta": [0.1], "seeds": 1},
    )
    world = sim.make_world(sweep, {"data.labeller": "gold"})
    proxy = sim.train_proxy(world, world.preferences(48))
    by_proxy = {"pairs": 64, "labeller": proxy} if labeller == "proxy" else {}
    pairs = world.preferences(responses=4, **by_proxy)
    assert pairs.ranked is not None
    curves = sim.train(world, pairs, loss="rpo_loo", beta=0.1, proxy=proxy).curves
    assert same(curves, recorded(sweep, tmp_path / "sweep"), 1)


def test_policies_of_a_sweep_are_trained_again_to_its_bits(tmp_path: Path) -> None:
    sweep = small_sweep(
        proxy={"width": 16, "steps": 30},
        sweep={"method": ["gpo", "rl"], "loss": ["logistic"], "seeds": 2},
        keep={"policies": "none"},
    )
    folder = sim.run_sweep(sweep, tmp_path / "sweep", workers=1)
    records = pd.read_parquet(folder / "curves.parquet")
    names = [records.loc[records["method"] == method, "run_id"].iloc[-1] for method in ("gpo", "rl")]
    policies = sim.load_policies(folder, names)
    ends = records.groupby("run_id").last()
    measured = sim.make_world(sweep).measure(policies)
    assert measured["run_id"].tolist() == names
    assert measured["kl"].tolist() == ends.loc[names, "kl"].tolist()
    records.assign(kl=records["kl"] + 1).to_parquet(folder / "curves.parquet")
    with pytest.warns(UserWarning, match="trained again it ends at a KL of"):
        sim.load_policies(folder, names[0])
