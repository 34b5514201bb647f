"""Methods against proxies: what a proxy labels, grids that have what matters, and what is refused."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import simulator as sim
from simulator import ConfigError, Sweep
from simulator.settings.run import Run
from simulator.sweeps.grid import expand
from simulator.sweeps.stacking import stacks
from tests.conftest import small_sweep

PROXY = {"width": 8, "steps": 40, "batch": 16}
SAMPLED = {"kind": "sampled"}


def runs_of(method: str | list[str], seeds: int = 1, axes: dict[str, Any] | None = None, **tables: Any) -> list[Run]:
    proxy = PROXY | tables.pop("proxy", {})
    grid = {"method": method, "seeds": seeds, "loss": ["logistic"], "beta": [0.1], **(axes or {})}
    return expand(small_sweep(proxy=proxy, sweep=grid, **tables))


@pytest.mark.parametrize("kind", ["enumerable", "sampled"])
def test_pairs_of_the_pool_are_labelled_by_the_proxy_and_new(kind: str) -> None:
    lab = sim.make_world(small_sweep(world={"kind": kind}, proxy=PROXY, data={"label_noise": 0.4}))
    proxy = sim.train_proxy(lab, lab.preferences(label_noise=0.0))
    pairs = [lab.preferences(300, seed=seed, labeller=proxy) for seed in (0, 1)]
    for some in pairs:
        assert len(some) == 300
        scores = proxy.score(some.prompts, some.responses)
        assert (scores[:, 0] >= scores[:, 1] - 1e-6).all()
        assert (scores[:, 0] > scores[:, 1]).double().mean() > 0.5
    by_gold = lab.preferences(48, seed=0)
    assert not torch.equal(pairs[0].prompts[:48], by_gold.prompts)
    curves = sim.train(lab, pairs, beta=0.1, seed=[0, 1], proxy=proxy).curves
    first, last = (curves.loc[curves["step"] == step, "proxy"].to_numpy() for step in (0, 40))
    assert (last > first + 0.02).all()
    assert curves["train_loss"].notna().all()


def test_a_grid_has_an_axis_only_where_it_matters() -> None:
    runs = runs_of(
        ["gpo", "best_of_n", "rl", "gibbs"],
        axes={
            "proxy.width": [4, 8],
            "train.steps": [10, 20],
            "rl.algorithm": ["rloo", "exact"],
            "rl.clip": [0.1, 0.2],
            "data.labeller": ["gold", "proxy"],
            "proxy.members": [1, 2],
            "proxy.combine": ["mean", "worst_case"],
            "penalty": [0.0, 0.5],
        },
    )
    count = pd.Series([run.method for run in runs]).value_counts()
    proxies = 2 * 3  # widths; one member, or two combined in two ways
    assert count["best_of_n"] == count["gibbs"] == proxies
    assert count["rl"] == proxies * 2 * 2 * 2
    assert count["gpo"] == 2 + 2 * proxies
    assert len({run.run_id for run in runs}) == len(runs)
    for run in runs:
        assert ("proxy.width" in run.cell.axes) == run.cell.proxies
        assert ("train.steps" in run.cell.axes) == (run.method in ("gpo", "rl"))
        assert "rl.clip" not in run.cell.axes


def test_what_the_penalty_is_names_a_run_only_where_it_is_not_as_published() -> None:
    axes = {"rl.algorithm": ["rloo", "grpo", "exact"], "rl.kl": ["auto", "loss"], "rl.kl_estimator": ["auto", "k2"]}
    runs = runs_of("rl", axes=axes)
    assert pd.Series([run.settings.rl.algorithm for run in runs]).value_counts().to_dict() == {
        "rloo": 4,
        "grpo": 4,
        "exact": 1,
    }
    for run in runs:
        assert ("rl.kl" in run.cell.axes) == (run.settings.rl.algorithm != "exact")
    (usual,) = (run for run in runs_of("rl") if run.beta == 0)
    assert usual.run_id in {run.run_id for run in runs}


def test_runs_against_different_proxies_share_a_stack() -> None:
    runs = runs_of(["rl", "best_of_n"], seeds=2, axes={"proxy.width": [4, 8], "data.pairs": [20, 40]})
    cut = stacks(runs, {run.stack_key: 100 for run in runs})
    assert sorted(map(len, cut)) == [8, 8]
    assert {len({run.method for run in stack}) for stack in cut} == {1}


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"data": {"pairs": 1}}, r"proxy.held_out (=0.1) of data.pairs (=1) leaves no held-out pair"),
        ({"data": {"pairs": 3}}, r"proxy.held_out (=0.1) of data.pairs (=3) leaves no held-out pair"),
        ({"proxy": {"held_out": 0.0}}, r"proxy.held_out (=0) of data.pairs (=48) leaves no held-out pair"),
        (
            {"proxy": {"held_out": 0.999}},
            r"proxy.held_out (=0.999) of data.pairs (=48) leaves no pair to train the proxy",
        ),
        (
            {"world": SAMPLED, "best_of_n": {"largest": 100, "pool": 99}},
            r"best_of_n.largest (=100) must be at most best_of_n.pool (=99)",
        ),
        (
            {"world": SAMPLED, "measure": {"prompts": 2}, "proxy": {"members": 2, "combine": "worst_case"}},
            r'proxy.combine (="worst_case") compares members after recentring them at each prompt, which needs '
            r'measure.prompts = "all"',
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_key_and_the_rule(tables: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        runs_of("best_of_n", **tables)
    assert said in str(caught.value)
    assert str(caught.value).endswith('(in [sweep], at method = "best_of_n")')


@pytest.mark.parametrize(
    ("method", "tables", "said"),
    [
        ("gibbs", {}, 'method "gibbs" needs world.kind = "enumerable", where every response is listed'),
        ("rl", {"rl": {"algorithm": "exact"}}, 'rl.algorithm = "exact" needs world.kind = "enumerable"'),
    ],
)
def test_closed_forms_need_a_listed_world(method: str, tables: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace('"', ".")):
        runs_of(method, world=SAMPLED, **tables)


def test_no_proxy_no_rule_of_proxies() -> None:
    assert len(runs_of("gpo", data={"pairs": 1}, proxy={"held_out": 0.0})) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[sweep]\nmethod = 'bon'",
            'sweep.method[0] = "bon": must be one of gpo, best_of_n, gibbs, iterated, rl; did you mean best_of_n?',
        ),
        ("[sweep]\nmethod = 'ppo'", "did you mean rl?"),
        ("[sweep]\nmethod = 'grpo'", "did you mean rl?"),
        ("[rl]\nkl = 'los'", "did you mean loss?"),
        ("[rl]\nkl_estimator = 'k4'", 'rl.kl_estimator = "k4": must be "auto", "k1", "k2" or "k3"'),
        ("[sweep]\nmethod = []", "must list at least one value"),
        ("[sweep]\npenalty = [-0.1]", "sweep.penalty[0] = -0.1: must be greater than or equal to 0"),
        ("[sweep]\nbeta = [0.0]", "sweep.beta[0] = 0.0: must be greater than 0"),
        ("[proxy]\nwidth = 9", "proxy: width (=9) must be divisible by heads (=2)"),
        ("[proxy]\nloss = 'dpo'", 'proxy.loss = "dpo": must be one of'),
        ("[proxy]\ncombine = 'worst'", "did you mean worst_case?"),
        ("[proxy]\nheld_out = 1.0", "proxy.held_out = 1.0: must be less than 1"),
        ("[proxy]\nlearning_rate = 'fast'", 'proxy.learning_rate = "fast": must be'),
        ("[rl]\nalgorithm = 'rlo'", "did you mean rloo?"),
        ("[rl]\nresponses = 1", "rl.responses = 1: must be greater than or equal to 2"),
        ("[rl]\nclip = 1.5", "rl.clip = 1.5: must be less than 1"),
        ("[best_of_n]\nlargest = 0", "best_of_n.largest = 0: must be greater than or equal to 1"),
        ("[data]\npool = 0", "data.pool = 0: must be greater than or equal to 1"),
        ("[data]\nlabeller = 'proxi'", "did you mean proxy?"),
    ],
)
def test_refusals_of_the_new_keys(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        Sweep.from_toml(tmp_path / "sweep.toml")
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
