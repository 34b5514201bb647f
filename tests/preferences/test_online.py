"""Online training: fresh pairs are the current policy's, labelled as asked, and offline is the case without any."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import simulator as sim
from simulator.methods.algorithms.pairwise_training import PairwiseLearner, new_learner
from simulator.preferences.online import draw_fresh, segments
from simulator.settings.tables import Online
from simulator.sweeps.grid import expand
from tests.conftest import heard, small_sweep

ONLINE = {"refresh": 10, "pairs": 20}


def runs_of(online: dict[str, object], **grid: object) -> list[Any]:
    return expand(small_sweep(sweep={"loss": "logistic", "beta": [0.3], "seeds": 2} | grid, online=online))


def settings_of(online: dict[str, object]) -> dict[str, object]:
    return {f"online.{key}": value for key, value in online.items()}


def trained(lab: sim.World, online: dict[str, object], seeds: int = 2, **how: Any) -> sim.Policies:
    """A stack over seeds, each with pairs of its own."""
    pairs = [lab.preferences(seed=seed) for seed in range(seeds)]
    given = {"loss": "logistic", "beta": 0.3, "seed": list(range(seeds))} | how
    return sim.train(lab, pairs, **given, settings=settings_of(online))


def learner_of(lab: sim.World, online: dict[str, object], **data: object) -> PairwiseLearner:
    """A stack of two seeds before its first step."""
    sweep = small_sweep(sweep={"loss": "logistic", "beta": [0.3], "seeds": 2}, online=online, data=data)
    return new_learner(expand(sweep), lab.simulated, [])


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


def test_fresh_responses_have_the_law_of_the_policy(lab: sim.World) -> None:
    """Counts of 3 prompts x 64 responses against the exact law, by a chi-squared statistic."""
    (reference,) = lab.reference.parameters
    noise = torch.randn(2, len(reference), generator=torch.Generator().manual_seed(0))
    parameters = reference + 0.3 * noise
    count = 6000
    drawn = draw_fresh(parameters, lab.simulated, pairs=count, responses=2, seeds=[0, 1], turn=1)
    policies = lab.policies(parameters, pd.DataFrame({"seed": [0, 1]}))
    law = policies.log_prob(lab.prompts, lab.responses.expand(3, -1, -1)).exp().numpy()
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
def test_rounds_add_to_the_data_or_replace_it(lab: sim.World, keep: str, sizes: list[int]) -> None:
    learner = learner_of(lab, ONLINE | {"keep": keep})
    seen = [learner.pairs.prompt.shape[1]]
    learner.advance(10)
    assert learner.pairs.prompt.shape[1] == seen[0]
    for _ in range(3):
        before = learner.pairs
        learner.advance(10)
        seen.append(learner.pairs.prompt.shape[1])
        if keep == "all":
            assert torch.equal(learner.pairs.responses[:, : before.responses.shape[1]], before.responses)
    assert seen == sizes


@pytest.mark.parametrize("noise", [0.0, 0.25])
def test_labels_of_fresh_pairs_are_golds(lab: sim.World, noise: float) -> None:
    online = {"refresh": 1, "keep": "newest", "pairs": 300}
    learner = learner_of(lab, online, labels="deterministic", label_noise=noise)
    learner.advance(1)
    learner.advance(1)
    fresh = learner.pairs
    assert fresh.prompt.shape == (2, 300)
    gold = torch.stack(
        [lab.gold(lab.prompts[row], some) for row, some in zip(fresh.prompt, fresh.responses, strict=True)]
    )
    differ = gold[..., 0] != gold[..., 1]
    share = (gold[..., 0] < gold[..., 1])[differ].float().mean().item()
    assert share == (pytest.approx(0.25, abs=0.06) if noise else 0)


def test_without_a_refresh_other_settings_of_online_training_say_nothing() -> None:
    assert [run.run_id for run in runs_of({})] == [run.run_id for run in runs_of({"pairs": 7, "keep": "newest"})]
    assert {run.run_id for run in runs_of({})}.isdisjoint(run.run_id for run in runs_of(ONLINE))


def test_until_the_first_round_online_is_offline_and_then_it_is_not(lab: sim.World) -> None:
    offline, online = (trained(lab, some).curves for some in ({}, ONLINE))
    columns = ["step", "kl", "gold"]
    before = offline["step"] <= 10
    assert (offline.loc[before, columns].to_numpy() == online.loc[before, columns].to_numpy()).all()
    assert (offline.loc[~before, "kl"].to_numpy() != online.loc[~before, "kl"].to_numpy()).all()


def test_a_run_has_the_same_bits_alone_and_in_a_stack(lab: sim.World) -> None:
    policies = trained(lab, ONLINE, loss=["logistic", "vpo", "ganpo", "simper", "rpo_forward"])
    table = policies.table.to_dict("records")
    for row in (table[1], table[-1], table[4]):
        seed = row["seed"]
        alone = sim.train(
            lab,
            lab.preferences(seed=seed),
            loss=row["loss"],
            beta=0.3,
            seed=seed,
            settings=settings_of(ONLINE),
        ).curves
        same = policies.curves[policies.curves["run_id"] == row["run_id"]]
        assert len(same) == len(alone) == 6
        assert (alone[["kl", "gold"]].to_numpy() == same[["kl", "gold"]].to_numpy()).all()


@pytest.mark.parametrize("loss", ["squared", "rpo_squared", "rpo_loo", "kto"])
def test_a_proxy_may_label_what_is_fresh(loss: str, tmp_path: Path) -> None:
    """The proxy learns from gold's labels of the first pairs; all objectives go on with it."""
    sweep = small_sweep(
        sweep={"loss": loss, "beta": [0.3], "seeds": 2},
        online=ONLINE | {"labeller": "proxy"},
        objective={"rpo": {"reward": "proxy", "responses": 3}},
        proxy={"steps": 30, "width": 8},
    )
    with heard():  # of parameters that this loss does not read
        sim.run_sweep(sweep, tmp_path / loss, workers=1)
    curves = pd.read_parquet(tmp_path / loss / "curves.parquet")
    runs = curves[curves["method"] == "gpo"]
    assert (runs["status"] == "ok").all()
    assert runs["proxy_parameters"].notna().all()
    assert (runs.loc[runs["step"] == 40, "kl"] > 0.01).all()


def test_online_training_in_a_world_that_is_sampled_with_responses_that_end() -> None:
    lab = sim.make_world(
        small_sweep(
            world={"kind": "sampled", "vocabulary": 5, "language": {"stop": 0.2}},
            measure={"samples": 4, "baseline": 16, "pairs": 32},
        )
    )
    losses = ["logistic", "vpo", "kto", "ganpo", "dpo_sft", "rpo_backward", "simper"]
    curves = trained(lab, ONLINE, seeds=1, loss=losses).curves
    assert set(curves["loss"]) == set(losses)
    assert (curves["status"] == "ok").all()
    assert (curves.loc[curves["step"] == 40, "kl"] > 0).all()


def test_fresh_pairs_of_a_policy_that_left_the_reference_keep_it_honest() -> None:
    """At the same loss and beta, many steps on fresh pairs end with more gold than on the first ones alone."""
    lab = sim.make_world(small_sweep(data={"labels": "deterministic"}))

    def gold(online: dict[str, object]) -> float:
        curves = trained(lab, online, seeds=6, loss="hinge", beta=0.05, steps=150).curves
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


def test_ranked_responses_ask_no_labeller(lab: sim.World) -> None:
    """Fresh answers that a proxy would label are ranked by gold all the same, and so no proxy is trained."""
    by_proxy = ONLINE | {"labeller": "proxy"}
    assert not any(run.cell.proxies for run in runs_of(by_proxy, loss="rpo_loo"))
    pairs = [lab.preferences(seed=seed, responses=4) for seed in (0, 1)]
    kl = [
        sim.train(lab, pairs, loss="rpo_loo", beta=0.3, seed=[0, 1], settings=settings_of(online)).curves["kl"]
        for online in (by_proxy, ONLINE)
    ]
    assert (kl[0].to_numpy() == kl[1].to_numpy()).all()


def test_labels_say_nothing_to_ranked_responses() -> None:
    ranked = runs_of({}, loss=["rpo_loo", "rpo_squared"], **{"data.label_noise": [0.0, 0.3]})
    assert sum(run.loss == "rpo_loo" for run in ranked) == 2
    assert sum(run.loss == "rpo_squared" for run in ranked) == 4


def test_vpo_is_optimistic_from_its_first_step_where_it_is_online(lab: sim.World) -> None:
    def early(online: dict[str, object], stance: str) -> np.ndarray:
        own = {"objective.vpo.alpha": 5.0, "objective.vpo.stance": stance}
        curves = sim.train(lab, lab.preferences(), loss="vpo", beta=0.3, settings=settings_of(online) | own).curves
        return curves.loc[curves["step"] <= 8, "kl"].to_numpy()

    assert (early(ONLINE, "auto") == early(ONLINE, "optimistic")).all()
    assert (early({}, "auto") == early({}, "pessimistic")).all()
    apart = early(ONLINE, "auto") != early({}, "auto")
    assert apart[2:].all()  # the first step is from the reference, where the expectation is flat


def test_a_loss_that_compares_with_other_pairs_needs_some() -> None:
    said = r'loss "kto" compares a pair with others of its batch.*train\.batch \(=1\)'
    with pytest.raises(sim.ConfigError, match=said):
        expand(small_sweep(sweep={"loss": "kto"}, train={"batch": 1}))
