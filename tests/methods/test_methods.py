"""Methods against proxies: exact and estimated ones agree, closed forms hold, and grids have what matters."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from simulator import ConfigError, Sweep
from simulator.engine.recorder import Recorder
from simulator.execution.run_stack import run_stack
from simulator.measurement.best_of_n import kl_bound, log_best_of_n
from simulator.preferences.draw import draw_labelled
from simulator.preferences.labelling import preferences
from simulator.proxies.reward_model import members_needed
from simulator.proxies.scores import Proxy, Trained, make_proxy, scorer_of
from simulator.proxies.training import train_members
from simulator.settings.run import Run
from simulator.sweeps.grid import expand
from simulator.sweeps.stacking import stacks
from simulator.worlds.build import build_world
from simulator.worlds.protocol import World
from tests.conftest import small_sweep

PROXY = {"width": 8, "steps": 40, "batch": 16}
SAMPLED = {"kind": "sampled"}


def runs_of(method: str | list[str], seeds: int = 1, axes: dict[str, Any] | None = None, **tables: Any) -> list[Run]:
    proxy = PROXY | tables.pop("proxy", {})
    grid = {"method": method, "seeds": seeds, "loss": ["logistic"], "beta": [0.1], **(axes or {})}
    return expand(small_sweep(proxy=proxy, sweep=grid, **tables))


@pytest.fixture(scope="module")
def trained(world: World) -> Trained:
    with torch.no_grad():
        ((found, _),) = train_members(members_needed(runs_of("best_of_n")), world, Recorder())
    return found


def proxy_in(world: World, trained: Trained) -> Proxy:
    with torch.no_grad():
        scores = world.score_listed(trained.parameters[None], trained.architecture)[0].numpy()
    here = Trained(architecture=trained.architecture, parameters=trained.parameters, scores=scores)
    return make_proxy([here], world.listing, combine="mean", uncertainty=0.0)


def trace(runs: list[Run], world: World, proxies: list[Proxy]) -> pd.DataFrame:
    with torch.no_grad():
        return run_stack(runs, world, proxies, Recorder())


def test_best_of_n_is_measured_as_its_law_says(world: World, trained: Trained) -> None:
    proxy = proxy_in(world, trained)
    curves = trace(runs_of("best_of_n", best_of_n={"largest": 64}), world, [proxy]).set_index("n")
    gold, log_law = torch.from_numpy(world.listing.gold), world.reference_log_probs
    for n in (1, 4, 64):
        law = log_best_of_n(log_law, torch.from_numpy(proxy.table), torch.tensor([n]))[0]
        assert curves.loc[n, "gold"] == pytest.approx(float((law.exp() * gold).sum(dim=1).mean()), abs=1e-9)
        assert curves.loc[n, "kl"] == pytest.approx(float((law.exp() * (law - log_law)).sum(dim=1).mean()), abs=1e-9)
        assert curves.loc[n, "kl_bound"] == pytest.approx(float(kl_bound(np.array(n))))
        assert curves.loc[n, "kl"] <= curves.loc[n, "kl_bound"] + 1e-9
    assert (curves["kl_source"] == "exact").all()
    assert curves["proxy"].is_monotonic_increasing
    assert (curves["step"] == curves.index).all()


def test_estimates_from_a_pool_agree_with_the_exact_values(world: World, trained: Trained) -> None:
    exact = trace(runs_of("best_of_n"), world, [proxy_in(world, trained)])
    tables = {"world": SAMPLED, "measure": {"baseline": 2000}, "best_of_n": {"largest": 64, "pool": 4000}}
    here = build_world(small_sweep(**tables))
    found = trace(runs_of("best_of_n", **tables), here, [proxy_in(here, trained)])
    both = found.merge(exact, on="n", suffixes=("", "_exact"))
    assert len(both) == len(found) > 8
    for name in ("gold", "win_rate", "length"):
        off = (both[name] - both[f"{name}_exact"]).to_numpy(), both[f"{name}_se"].to_numpy()
        assert (np.abs(off[0]) <= 4 * off[1] + 1e-9).all(), name
        assert (off[1] < 0.1).all()
    # the proxy's unit is estimated in each world, so its scores agree but for a common factor
    ratio = both.loc[both["n"] > 1, "proxy"] / both.loc[both["n"] > 1, "proxy_exact"]
    assert ratio.to_numpy() == pytest.approx(np.full(len(ratio), ratio.mean()), rel=0.05)
    assert 0.7 < ratio.mean() < 1.4
    assert (found["kl_source"] == "bound").all()
    assert found["kl"].to_numpy() == pytest.approx(kl_bound(found["n"].to_numpy()))


@pytest.mark.slow
def test_standard_errors_of_the_pool_are_the_spread_over_worlds_samples(trained: Trained) -> None:
    """Worlds that differ in nothing but the noise of baseline and pool."""
    from dataclasses import replace

    tables = {"world": SAMPLED, "measure": {"baseline": 64}, "best_of_n": {"largest": 8, "pool": 200}}
    settings = small_sweep(**tables)
    run, worlds = runs_of("best_of_n", **tables), []
    from simulator.worlds.components import make_components
    from simulator.worlds.reference_sample import draw_reference_sample, list_baseline

    first = build_world(settings)
    ground = make_components(settings, torch.device("cpu"))
    with torch.no_grad():
        for seed in range(30):
            other = settings.model_copy(update={"world": settings.world.model_copy(update={"seed": 100 + seed})})
            judge, baseline, _ = draw_reference_sample(other, ground, first.measurement.prompts, first.reference, None)
            listing = list_baseline(baseline, first.measurement.rows)
            measurement = replace(first.measurement, judge=judge, baseline=baseline, seed=100 + seed)
            worlds.append(replace(first, measurement=measurement, listing=listing))
    tables_found = [trace(run, world, [proxy_in(world, trained)]).set_index("n") for world in worlds]
    for name in ("gold", "win_rate", "proxy"):
        for n in (2, 8):
            values = np.array([table.loc[n, name] for table in tables_found])
            said = np.mean([table.loc[n, f"{name}_se"] for table in tables_found])
            assert 0.65 < said / values.std(ddof=1) < 1.5, (name, n)


def test_gibbs_climbs_its_proxy_and_nobody_has_more_of_it(world: World, trained: Trained) -> None:
    proxy = proxy_in(world, trained)
    gibbs, best = (trace(runs_of(method), world, [proxy]) for method in ("gibbs", "best_of_n"))
    assert gibbs["kl"].is_monotonic_increasing
    assert gibbs["proxy"].is_monotonic_increasing
    assert gibbs["tau"].is_monotonic_decreasing
    at_most = np.interp(best["kl"], gibbs["kl"], gibbs["proxy"])
    inside = best["kl"] < gibbs["kl"].max()
    assert (best["proxy"][inside] <= at_most[inside] + 1e-3).all()


@pytest.mark.parametrize("kind", ["enumerable", "sampled"])
def test_pairs_of_the_pool_are_labelled_by_the_proxy_and_new(kind: str, trained: Trained) -> None:
    tables = {"world": {"kind": kind}, "data": {"labeller": "proxy", "pool": 300, "label_noise": 0.4}}
    here = build_world(small_sweep(**tables))
    runs = runs_of("gpo", seeds=2, **tables)
    scorer = scorer_of(here, [proxy_in(here, trained)] * 2)
    with torch.no_grad():
        pairs = preferences(runs, here, scorer)
        scores = scorer.of(pairs.prompt, pairs.responses)
    assert pairs.prompt.shape == (2, 300)
    assert (scores[..., 0] >= scores[..., 1] - 1e-6).all()
    assert (scores[..., 0] > scores[..., 1]).double().mean() > 0.5
    by_gold = draw_labelled(here, runs[0].settings.data, 0)
    assert not torch.equal(pairs.prompt[0, : len(by_gold.prompt)], by_gold.prompt)
    curves = trace(runs, here, [proxy_in(here, trained)] * 2)
    first, last = (curves.loc[curves["step"] == step, "proxy"].to_numpy() for step in (0, 40))
    assert (last > first + 0.02).all()
    assert curves["train_loss"].notna().all()


def test_a_gold_reward_as_proxy_of_itself_is_the_oracle(world: World) -> None:
    """A proxy whose scores are gold's is recalibrated to gold itself, and its Gibbs policies are the oracle's."""
    perfect = Trained(architecture=world.architecture, parameters=world.reference, scores=7 * world.listing.gold + 3)
    proxy = make_proxy([perfect], world.listing, combine="mean", uncertainty=0.0)
    assert proxy.table == pytest.approx(world.listing.gold, abs=1e-6)
    gibbs = trace(runs_of("gibbs"), world, [proxy])
    oracle = world.oracle("x")
    for name in ("kl", "gold", "proxy"):
        assert gibbs[name].to_numpy() == pytest.approx(oracle[name if name != "proxy" else "gold"].to_numpy(), abs=1e-5)


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
            'sweep.method[0] = "bon": must be one of gpo, best_of_n, gibbs, rl; did you mean best_of_n?',
        ),
        ("[sweep]\nmethod = 'ppo'", "did you mean rl?"),
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


def test_a_pool_is_drawn_in_pieces_and_its_beginning_does_not_depend_on_its_size(trained: Trained) -> None:
    from simulator.methods.algorithms import best_of_n_sampled as pooled

    here = build_world(small_sweep(world=SAMPLED, measure={"baseline": 8}))
    scorer = scorer_of(here, [proxy_in(here, trained)])
    with torch.no_grad():
        few, many = (pooled.read_pool(here, scorer, size) for size in (77, pooled.CHUNK + 77))
    for name, values in few[0].items():
        assert values.shape == (3, 77)
        assert values == pytest.approx(many[0][name][:, :77], abs=3e-5), name
    assert few[1] == pytest.approx(many[1][..., :77], abs=1e-6)
    first, second = many[1][0, 0, :77], many[1][0, 0, pooled.CHUNK :]
    assert not np.allclose(first, second)
