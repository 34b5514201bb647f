"""Reinforcement learning against the optimum, against itself in a stack, and what is recorded of it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import simulator as sim
from simulator.engine.recorder import Recorder
from simulator.methods.rl import METHOD
from simulator.sweeps.grid import expand
from tests.conftest import small_sweep
from tests.helpers.planted_proxy import planted_proxy

SHAPE = {"prompts": 2, "responses": 8}


def climbed(lab: sim.World, seeds: list[int], penalty: Any = 0.3, **settings: Any) -> sim.Policies:
    """A stack over penalties and seeds, each seed against planted scores of its own."""
    shape = {f"rl.{key}": value for key, value in SHAPE.items()}
    proxies = [planted_proxy(lab, seed) for seed in seeds]
    return sim.train(lab, proxies, method="rl", penalty=penalty, seed=seeds, settings=shape | settings)


@pytest.mark.slow(but="exact-500")
@pytest.mark.parametrize(("algorithm", "steps"), [("exact", 500), ("rloo", 700), ("ppo", 350)])
def test_run_long_it_comes_to_the_optimum(algorithm: str, steps: int) -> None:
    """Within two per cent of the objective of the Gibbs policy, whose closed form no policy can beat."""
    tables = {"policy": {"layers": 1, "width": 32}, "world": {"prompts": 2}, "data": {"pairs": 1000}}
    train = {"steps": steps, "learning_rate": 0.003, "schedule": "linear", "clip": 1.0}
    rl = SHAPE | {"algorithm": algorithm, "responses": 64, "reuse": 3}
    lab = sim.make_world(small_sweep(rl=rl, train=train, proxy={"steps": 300, "width": 16}, **tables))
    proxy = sim.train_proxy(lab, lab.preferences())
    policies = sim.train(lab, proxy, method="rl", penalty=0.3)
    listed = lab.responses.expand(2, -1, -1)
    scores = proxy.score(lab.prompts, listed)
    reference, ours = (some.log_prob(lab.prompts, listed)[0] for some in (lab.reference, policies))
    ceiling = float(0.3 * (reference + scores / 0.3).logsumexp(dim=-1).mean())  # Donsker and Varadhan
    reached = float((ours.exp() * (scores - 0.3 * (ours - reference))).sum(dim=-1).mean())
    assert 0.98 * ceiling < reached <= ceiling + 1e-6
    assert ceiling > 0.5


ALGORITHMS = ["exact", "rloo", "ppo", "grpo", "dr_grpo", "reinforce_pp"]


@pytest.mark.slow(but=("rloo", "reinforce_pp"))
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_run_alone_and_in_a_stack_has_the_same_bits(lab: sim.World, algorithm: str) -> None:
    settings = {"rl.algorithm": algorithm, "train.steps": 12}
    together = climbed(lab, [0, 1, 2], [0.0, 0.3], **settings)
    assert len(together) == 6
    for policy, row in zip(together.parameters, together.table.to_dict("records"), strict=True):
        alone = climbed(lab, [row["seed"]], row["beta"], **settings)
        assert alone.table["run_id"][0] == row["run_id"]
        assert torch.equal(alone.parameters[0], policy), row["run_id"]


@pytest.mark.slow(but=("k1",))
@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_in_a_world_of_many_lengths_a_run_alone_and_in_a_stack_has_the_same_bits(estimator: str) -> None:
    """Its penalty in the loss, where responses end early."""
    lab = sim.make_world(small_sweep(world={"language": {"stop": 0.3}}))
    for algorithm in ALGORITHMS[1:]:
        settings = {"rl.algorithm": algorithm, "rl.kl": "loss", "rl.kl_estimator": estimator, "train.steps": 3}
        together = climbed(lab, [0, 1], [0.0, 0.3], **settings)
        for row in (0, 3):
            run = together.table.iloc[row]
            alone = climbed(lab, [int(run["seed"])], run["beta"], **settings)
            assert torch.equal(alone.parameters[0], together.parameters[row]), algorithm
        assert together.parameters.isfinite().all()
        assert not torch.equal(together.parameters[0], together.parameters[2])  # the penalty is felt


@pytest.mark.parametrize("algorithm", ["grpo", "dr_grpo", "reinforce_pp"])
def test_the_newer_algorithms_climb(lab: sim.World, algorithm: str) -> None:
    settings = {"rl.algorithm": algorithm, "rl.responses": 16, "train.steps": 30, "train.checkpoints": 2}
    curves = climbed(lab, [0], 0.0, **settings).curves
    assert curves["proxy"].iloc[-1] > curves["proxy"].iloc[0] + 0.3


def test_climbing_in_pieces_is_climbing_at_once(lab: sim.World) -> None:
    settings = {"rl.algorithm": "ppo", "train.schedule": "cosine", "train.warmup": 3, "train.steps": 12}
    whole, pieces = (climbed(lab, [0, 1], **settings, **{"train.checkpoints": count}) for count in (3, 5))
    assert sorted(set(whole.curves["step"])) == [0, 1, 12]
    assert len(set(pieces.curves["step"])) == 5
    assert torch.equal(whole.parameters, pieces.parameters)


def test_the_records_of_a_path(lab: sim.World) -> None:
    runs = expand(small_sweep(rl=SHAPE, sweep={"method": "rl", "seeds": 2, "penalty": [0.0]}))
    proxies = [planted_proxy(lab, run.seed).ensemble for run in runs]
    beside: dict[str, pd.DataFrame] = {}
    curves = METHOD.run(runs, lab.simulated, proxies, Recorder(save_table=beside.__setitem__))
    assert set(beside) == {"responses", "gold_law", "ledger"}
    assert set(beside["responses"]["run_id"]) == {run.run_id for run in runs}
    assert curves["step"].max() == 40
    start_rows, end_rows = curves[curves["step"] == 0], curves[curves["step"] == 40]
    for name in ("kl", "gold", "proxy"):
        assert start_rows[name].to_numpy() == pytest.approx(np.zeros(2), abs=1e-6)
    assert (end_rows["proxy"] > 0.1).all()
    assert (curves["kl_source"] == "exact").all()
    assert (curves["beta"] == 0.0).all()


def test_a_run_that_diverges_is_marked(lab: sim.World) -> None:
    train = {"learning_rate": 1e12, "clip": 0.0, "optimizer": "adamw", "weight_decay": 1.0, "steps": 3}
    policies = climbed(lab, [0, 1], **{f"train.{key}": value for key, value in train.items()})
    ends = policies.curves.groupby("run_id").last()
    assert ends["status"].tolist() == ["diverged", "diverged"]
    assert ends["step"].between(1, 3).all()


@pytest.mark.slow
def test_in_a_sampled_world_it_climbs_the_networks_score() -> None:
    tables = {"world": {"kind": "sampled", "language": {"stop": 0.1}}, "rl": {"prompts": 3, "responses": 16}}
    lab = sim.make_world(small_sweep(**tables, train={"steps": 60}))
    policies = sim.train(lab, sim.train_proxy(lab, lab.preferences()), method="rl", penalty=0.0)
    curves = policies.curves.set_index("step")
    assert curves.loc[60, "proxy"] > curves.loc[0, "proxy"] + 5 * curves.loc[60, "proxy_se"]
    assert curves.loc[60, "kl"] > 0.1
    assert (curves["kl_source"] == "sampled").all()


def test_seeds_are_runs_of_their_own(lab: sim.World) -> None:
    proxy = planted_proxy(lab, 0)
    table = sim.training(lab, proxy, method="rl", penalty=0.0, seed=[0, 3]).policies.table
    assert table["run_id"].nunique() == 2
