"""Classes of policies and population data in sweep files: what is refused, what a run's name follows from."""

from pathlib import Path

import pandas as pd
import pytest

import simulator as sim
from simulator.methods import METHODS
from simulator.sweeps.grid import expand
from simulator.sweeps.memory_budget import run_bytes
from simulator.worlds.components import architecture_of
from simulator.worlds.policy_classes.sizes import policy_row
from tests.conftest import small_sweep
from tests.helpers.tilted_worlds import laws

POPULATION = {"data": {"population": True}}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"world": {"kind": "sampled"}, "policy": {"kind": "tabular"}}, "policy.kind .*needs world.kind"),
        ({"policy": {"kind": "linear"}, "sweep": {"loss": ["ganpo"]}}, "reads hidden states"),
        (POPULATION | {"world": {"kind": "sampled"}}, "data.population needs world.kind"),
        (POPULATION | {"world": {"vocabulary": 10, "response_length": 3}}, "all pairs of responses are 1,501,500"),
        (POPULATION | {"sweep": {"loss": ["kto"]}}, "compares each pair with its neighbour"),
        (POPULATION | {"sweep": {"loss": ["rpo_loo"]}}, "ranks several responses"),
        (POPULATION | {"sweep": {"loss": ["ganpo"]}}, "that count alike"),
        (POPULATION | {"online": {"refresh": 10}}, "online.refresh .*draws pairs"),
        (POPULATION | {"sweep": {"method": ["rl"]}}, "a proxy learns from drawn ones"),
        ({"data": {"population": True, "labeller": "proxy"}}, "data.labeller is"),
    ],
)
def test_what_makes_no_sense_is_refused(tables: dict[str, dict[str, object]], message: str) -> None:
    with pytest.raises((sim.ConfigError, ValueError), match=message):
        expand(small_sweep(**tables))


def names(**tables: dict[str, object]) -> list[str]:
    return [run.run_id for run in expand(small_sweep(**tables))]


def test_names_follow_from_what_runs_read_alone() -> None:
    usual = names()
    assert usual == names(policy={"features": "tokens"}) == names(policy={"kind": "transformer"})
    tabular = names(policy={"kind": "tabular"})
    assert not set(usual) & set(tabular)
    assert tabular == names(policy={"kind": "tabular", "features": "tokens"})
    linear = names(policy={"kind": "linear"})
    assert not set(linear) & {*usual, *tabular, *names(policy={"kind": "linear", "features": "tokens"})}
    whole = names(data={"population": True})
    assert not set(whole) & set(usual)
    assert whole == names(data={"population": True, "pairs": 7}, train={"batch": 3})
    untrained = {"method": "best_of_n", "policy.kind": ["transformer", "tabular"]}
    assert len(names(sweep=untrained)) == 3  # one for each seed


def test_rows_are_as_long_as_the_class_asks() -> None:
    axes = {"policy.kind": ["transformer", "tabular", "linear"], "seeds": 1, "beta": [0.1]}
    runs = expand(small_sweep(sweep=axes))
    spec = {run.settings.policy.kind: run.settings.spec for run in runs}
    assert policy_row(spec["transformer"]) == architecture_of(spec["transformer"]).row
    assert (policy_row(spec["tabular"]), policy_row(spec["linear"])) == (192, 64)  # 3 prompts, 4^3 responses; 4 x 4
    assert all(run_bytes(run) > 8 * 4 * policy_row(run.settings.spec) for run in runs)
    assert all(METHODS["gpo"].footprint(run).pairs == 48 for run in runs)


@pytest.mark.slow
def test_one_sweep_has_all_classes_and_both_kinds_of_data(tmp_path: Path) -> None:
    axes = {"policy.kind": ["transformer", "tabular", "linear"], "data.population": [False, True]}
    few = {"world": {"vocabulary": 3, "response_length": 2}, "train": {"steps": 6, "checkpoints": 3}}
    sweep = small_sweep(
        **few, sweep={"loss": ["logistic"], "beta": [0.5], "seeds": 1, **axes}, keep={"policies": "end"}
    )
    out = sim.run_sweep(sweep, tmp_path / "out", workers=1)
    curves = pd.read_parquet(out / "curves.parquet")
    ends = curves[curves["method"] == "gpo"].groupby("run_id").last()
    found = set(zip(ends["policy_kind"], ends["population"], ends["pairs"], strict=True))
    assert found == {(kind, str(whole), 0 if whole else 48) for kind in axes["policy.kind"] for whole in (False, True)}
    for run in expand(sweep):
        world = sim.make_world(sweep, {f"{key}": value for key, value in run.cell.axes.items()})
        kept = sim.load_policies(out, run_id=run.run_id)
        assert world.measure(kept)["kl"].tolist() == pytest.approx([ends.loc[run.run_id, "kl"]])
        again = sim.train(world, world.preferences(seed=0), beta=0.5, seed=0)
        assert again.curves["kl"].tolist() == curves[curves["run_id"] == run.run_id]["kl"].tolist()
        assert (laws(world, kept) == laws(world, again)).all()
