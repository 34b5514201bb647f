"""Online training: fresh pairs are the current policy's, labelled as asked, and offline is the case without any."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from simulator import run_sweep
from simulator.common.errors import ConfigError
from simulator.engine.gradient_steps import advance, pair_blocks, start
from simulator.engine.recorder import Recorder
from simulator.execution.run_stack import run_stack
from simulator.methods.algorithms.pairwise_training import make_problem
from simulator.preferences.labelling import preferences, refresh
from simulator.preferences.online import draw_fresh, segments
from simulator.settings.run import Run
from simulator.settings.tables import Online
from simulator.sweeps.grid import expand
from simulator.worlds.build import build_world
from simulator.worlds.protocol import World
from tests.conftest import heard, small_sweep

ONLINE = {"refresh": 10, "pairs": 20}


def runs_of(online: dict[str, object], **grid: object) -> list[Run]:
    data = grid.pop("data", {})
    return expand(small_sweep(sweep={"loss": "logistic", "beta": [0.3], "seeds": 2} | grid, online=online, data=data))


def test_a_round_begins_after_every_so_many_steps_but_not_after_the_last() -> None:
    online = Online(refresh=10)
    assert [step for step in range(41) if online.round_at(step, 40)] == [10, 20, 30]
    assert online.rounds(40) == 3
    assert online.rounds(41) == 4
    assert Online().rounds(40) == 0
    assert not any(Online().round_at(step, 40) for step in range(41))


def test_stretches_between_checkpoints_are_cut_where_rounds_begin() -> None:
    assert segments(0, 25, 10) == [(0, 10), (10, 20), (20, 25)]
    assert segments(10, 20, 10) == [(10, 20)]
    assert segments(3, 9, 0) == [(3, 9)]


def test_fresh_responses_have_the_law_of_the_policy(world: World) -> None:
    """Counts of 3 prompts x 64 responses against the exact law, by a chi-squared statistic."""
    noise = torch.randn(2, len(world.reference), generator=torch.Generator().manual_seed(0))
    parameters = world.reference + 0.3 * noise
    count = 6000
    drawn = draw_fresh(parameters, world, pairs=count, responses=2, seeds=[0, 1], turn=1)
    law = world._laws(parameters, alone=False).exp().numpy()
    for row, pairs in enumerate(drawn):
        number = (pairs.responses * torch.tensor([16, 4, 1])).sum(dim=2).numpy()
        for prompt in range(3):
            here = number[pairs.prompt.numpy() == prompt].ravel()
            expected = law[row, prompt] * len(here)
            common = expected >= 5
            counts = np.bincount(here, minlength=64)
            statistic = ((counts - expected)[common] ** 2 / expected[common]).sum()
            assert statistic < common.sum() + 5 * np.sqrt(2 * common.sum())
        assert abs((pairs.prompt == 0).float().mean().item() - 1 / 3) < 0.03
    assert not torch.equal(drawn[0].responses, drawn[1].responses)


@pytest.mark.parametrize(("keep", "sizes"), [("all", [48, 68, 88, 108]), ("newest", [48, 20, 20, 20])])
def test_rounds_add_to_the_data_or_replace_it(world: World, keep: str, sizes: list[int]) -> None:
    runs = runs_of(ONLINE | {"keep": keep})
    pairs = preferences(runs, world, None)
    state = start(world.reference, 2)
    seen = [pairs.prompt.shape[1]]
    for turn in (1, 2, 3):
        before = pairs
        pairs = refresh(state, pairs, runs, world, None, turn)
        seen.append(pairs.prompt.shape[1])
        if keep == "all":
            assert torch.equal(pairs.responses[:, : before.responses.shape[1]], before.responses)
        problem = make_problem(runs, world, pairs, turn=turn, began=state.step)
        state = advance(state, problem, 10)
    assert seen == sizes


def test_labels_of_fresh_pairs_are_golds(world: World) -> None:
    runs = runs_of(ONLINE | {"keep": "newest", "pairs": 300}, data={"labels": "deterministic"})
    fresh = refresh(start(world.reference, 2), preferences(runs, world, None), runs, world, None, 1)
    gold = world.gold_of(fresh.prompt, fresh.responses)
    assert (gold[..., 0] >= gold[..., 1]).all()
    noisy = runs_of(ONLINE | {"keep": "newest", "pairs": 300}, data={"labels": "deterministic", "label_noise": 0.25})
    flipped = refresh(start(world.reference, 2), preferences(noisy, world, None), noisy, world, None, 1)
    gold = world.gold_of(flipped.prompt, flipped.responses)
    differ = gold[..., 0] != gold[..., 1]
    share = (gold[..., 0] < gold[..., 1])[differ].float().mean().item()
    assert share == pytest.approx(0.25, abs=0.06)


def test_without_a_refresh_other_settings_of_online_training_say_nothing() -> None:
    assert [run.run_id for run in runs_of({})] == [run.run_id for run in runs_of({"pairs": 7, "keep": "newest"})]
    assert {run.run_id for run in runs_of({})}.isdisjoint(run.run_id for run in runs_of(ONLINE))


def test_until_the_first_round_online_is_offline_and_then_it_is_not(world: World) -> None:
    offline, online = (run_stack(runs_of(some), world, [], Recorder()) for some in ({}, ONLINE))
    columns = ["step", "kl", "gold"]
    before = offline["step"] <= 10
    assert (offline.loc[before, columns].to_numpy() == online.loc[before, columns].to_numpy()).all()
    assert (offline.loc[~before, "kl"].to_numpy() != online.loc[~before, "kl"].to_numpy()).all()


def test_a_run_has_the_same_bits_alone_and_in_a_stack(world: World) -> None:
    runs = runs_of(ONLINE, loss=["logistic", "vpo", "ganpo", "simper", "rpo_forward"])
    together = run_stack(runs, world, [], Recorder())
    for run in (runs[1], runs[-1], runs[4]):
        alone = run_stack([run], world, [], Recorder())
        same = together[together["run_id"] == run.run_id]
        assert (alone[["kl", "gold"]].to_numpy() == same[["kl", "gold"]].to_numpy()).all()


@pytest.mark.parametrize("loss", ["squared", "rpo_squared", "rpo_loo", "kto"])
def test_a_proxy_may_label_what_is_fresh(loss: str, tmp_path: object) -> None:
    """The proxy learns from gold's labels of the first pairs; all objectives go on with it."""
    sweep = small_sweep(
        sweep={"loss": loss, "beta": [0.3], "seeds": 2},
        online=ONLINE | {"labeller": "proxy"},
        objective={"rpo": {"reward": "proxy", "responses": 3}},
        proxy={"steps": 30, "width": 8},
    )
    with heard():  # of parameters that this loss does not read
        run_sweep(sweep, tmp_path / loss, workers=1)
    curves = pd.read_parquet(tmp_path / loss / "curves.parquet")
    runs = curves[curves["method"] == "gpo"]
    assert (runs["status"] == "ok").all()
    assert runs["proxy_parameters"].notna().all()
    assert (runs.loc[runs["step"] == 40, "kl"] > 0.01).all()


def test_online_training_in_a_world_that_is_sampled_with_responses_that_end() -> None:
    sweep = small_sweep(
        world={"kind": "sampled", "vocabulary": 5, "language": {"stop": 0.2}},
        measure={"samples": 4, "baseline": 16, "pairs": 32},
        sweep={
            "loss": ["logistic", "vpo", "kto", "ganpo", "dpo_sft", "rpo_backward", "simper"],
            "beta": [0.3],
            "seeds": 1,
        },
        online=ONLINE,
    )
    runs = expand(sweep)
    curves = run_stack(runs, build_world(sweep), [], Recorder())
    assert (curves["status"] == "ok").all()
    assert (curves.loc[curves["step"] == 40, "kl"] > 0).all()


def test_fresh_pairs_of_a_policy_that_left_the_reference_keep_it_honest(world: World) -> None:
    """At the same loss and beta, many steps on fresh pairs end with more gold than on the first ones alone."""
    settings = {"train": {"steps": 150}, "data": {"labels": "deterministic"}}
    grid = {"loss": "hinge", "beta": [0.05], "seeds": 6}

    def gold(online: dict[str, object]) -> float:
        runs = expand(small_sweep(sweep=grid, online=online, **settings))
        curves = run_stack(runs, world, [], Recorder())
        return curves.loc[curves["step"] == 150, "gold"].mean()

    assert gold({"refresh": 15, "pairs": 48}) > gold({}) + 0.2


def test_a_round_that_never_comes_is_offline() -> None:
    assert [run.run_id for run in runs_of({"refresh": 40})] == [run.run_id for run in runs_of({})]
    late = {"refresh": 40, "labeller": "proxy"}
    assert not any(run.cell.proxies for run in runs_of(late))
    assert all(run.cell.proxies for run in runs_of(late | {"refresh": 39}))


def test_an_axis_of_refreshes_tells_offline_apart() -> None:
    runs = runs_of({}, **{"online.refresh": [0, 20]})
    assert {run.cell.axes["online.refresh"] for run in runs} == {0, 20}
    assert len({run.run_id for run in runs}) == 4


def test_ranked_responses_ask_no_labeller(world: World) -> None:
    """Fresh answers that a proxy would label are ranked by gold all the same, and so no proxy is trained."""
    runs = runs_of(ONLINE | {"labeller": "proxy"}, loss="rpo_loo")
    assert not any(run.cell.proxies for run in runs)
    by_gold = run_stack(runs_of(ONLINE, loss="rpo_loo"), world, [], Recorder())
    assert (run_stack(runs, world, [], Recorder())["kl"].to_numpy() == by_gold["kl"].to_numpy()).all()


def test_labels_say_nothing_to_ranked_responses() -> None:
    ranked = runs_of({}, loss=["rpo_loo", "rpo_squared"], **{"data.label_noise": [0.0, 0.3]})
    assert sum(run.loss == "rpo_loo" for run in ranked) == 2
    assert sum(run.loss == "rpo_squared" for run in ranked) == 4


def test_vpo_is_optimistic_from_its_first_step_where_it_is_online(world: World) -> None:
    def early(online: dict[str, object], stance: str) -> np.ndarray:
        own = {"vpo": {"alpha": 5.0, "stance": stance}}
        sweep = small_sweep(sweep={"loss": "vpo", "beta": [0.3], "seeds": 1}, online=online, objective=own)
        return run_stack(expand(sweep), world, [], Recorder()).loc[lambda t: t["step"] <= 8, "kl"].to_numpy()

    assert (early(ONLINE, "auto") == early(ONLINE, "optimistic")).all()
    assert (early({}, "auto") == early({}, "pessimistic")).all()
    apart = early(ONLINE, "auto") != early({}, "auto")
    assert apart[2:].all()  # the first step is from the reference, where the expectation is flat


def test_a_loss_that_compares_with_other_pairs_needs_some(world: World) -> None:
    with pytest.raises(ConfigError, match=r'loss "kto" compares a pair with others of its batch.*train\.batch \(=1\)'):
        expand(small_sweep(sweep={"loss": "kto"}, train={"batch": 1}))
    sizes = {pairs: [block.stop - block.start for block in pair_blocks(pairs)] for pairs in (1, 64, 65, 130)}
    assert sizes == {1: [1], 64: [64], 65: [65], 130: [64, 64, 2]}


def test_turns_have_orders_of_their_own(world: World) -> None:
    runs = runs_of({})
    pairs = preferences(runs, world, None)
    first, later = (make_problem(runs, world, pairs, turn=turn, began=0) for turn in (0, 1))
    state = advance(start(world.reference, 2), first, 5)
    other = advance(start(world.reference, 2), later, 5)
    assert not torch.equal(state.parameters, other.parameters)
    moved = replace(later, round_start_step=3)
    shifted = advance(replace(start(world.reference, 2), step=3), moved, 1)
    assert shifted.step == 4
