"""The parts of regret: what is planted in each is found in it, and in no other."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import brentq

from analysis.figures.instruments.regret import draw
from analysis.figures.look import PAGE, drawn_as
from analysis.instruments.regret import FINEST, PARTS, findings, lines_of, overoptimization
from simulator.instruments.regret.best_of_class import lengthened
from simulator.instruments.regret.golds import GoldFamily, family_of
from simulator.instruments.regret.optimum import population_optimum
from simulator.instruments.regret.parts import Ended, parts_of
from simulator.instruments.regret.tilt import gold_at
from simulator.settings.labels import rule_of
from simulator.settings.run import Run
from simulator.sweeps.grid import expand
from simulator.worlds.build import build_world
from simulator.worlds.protocol import ListedWorld, as_listed
from tests.analysis.test_figures import check_rules
from tests.conftest import small_sweep

Array = np.ndarray
TABULAR = {"gold": {"reward": "additive"}, "policy": {"kind": "tabular"}, "train": {"steps": 3, "checkpoints": 2}}


def world_and_runs(**tables: dict[str, object]) -> tuple[ListedWorld, list[Run]]:
    runs = expand(
        small_sweep(**{name: {**TABULAR.get(name, {}), **tables.get(name, {})} for name in {**TABULAR, **tables}})
    )
    return as_listed(build_world(runs[0].settings)), runs


def known_gold(world: ListedWorld) -> GoldFamily:
    """Golds of which any label tells everything: the world's own and its opposite."""
    gold = world.listing.gold
    law = world.reference_log_probs.exp().numpy()
    none = np.zeros_like(gold)
    return GoldFamily(
        features=gold[..., None], fixed=none, law=law, side=none, active=None, truth=np.ones(1), how="two golds"
    )


def oracle_by_bisection(world: ListedWorld, kl: float) -> float:
    """Gold of the Gibbs policy of this KL, by another solver."""
    reference, gold = world.reference_log_probs.numpy(), world.listing.gold

    def policy(strength: float) -> Array:
        logits = reference + strength * gold
        return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)

    def excess(strength: float) -> float:
        law = policy(strength)
        return float((np.exp(law) * (law - reference)).sum(axis=1).mean()) - kl

    return float((np.exp(policy(brentq(excess, 1e-6, 1e3, xtol=1e-13))) * gold).sum(axis=1).mean())


def test_parts_sum_and_the_oracle_is_that_of_another_solver() -> None:
    world, runs = world_and_runs()
    ended = [Ended(run=run, kl=0.3, gold=0.1) for run in runs if run.seed == runs[0].seed]
    for parts in parts_of(world, family_of(world), ended).values():
        assert sum(float(parts[name]) for name in PARTS) == pytest.approx(float(parts["total"]), abs=1e-9)
        assert sum(float(parts[name]) for name in FINEST) == pytest.approx(float(parts["total"]), abs=1e-9)
        assert parts["oracle"] == pytest.approx(oracle_by_bisection(world, 0.3), abs=1e-8)
        assert parts["labels"] > 0


@pytest.mark.parametrize("loss", ["logistic", "squared", "hinge"])
def test_what_only_the_loss_takes_is_the_loss(loss: str) -> None:
    """Gold is known from a label, the policy can be anything, and is at the optimum: the loss has all of regret."""
    world, runs = world_and_runs(sweep={"loss": [loss], "beta": [0.5], "seeds": 1})
    (run,) = runs
    rule, sides = rule_of(run.settings.data), world.side_distributions(run.settings.data)
    gold, reference = torch.from_numpy(world.listing.gold), world.reference_log_probs
    best = torch.from_numpy(population_optimum(run.objective.f, world.listing.gold, sides, rule))
    reached, oracle = gold_at(reference, best, gold, [0.4])[0], oracle_by_bisection(world, 0.4)
    parts = parts_of(world, known_gold(world), [Ended(run=run, kl=0.4, gold=reached)])[run.run_id]
    assert parts["labels"] == pytest.approx(0, abs=1e-6)
    assert parts["policy_class"] == pytest.approx(0, abs=1e-9)
    assert parts["optimizer"] == pytest.approx(0, abs=1e-4)
    assert parts["loss"] == pytest.approx(oracle - reached, abs=1e-4)
    assert (parts["loss"] < 1e-4) == (loss == "logistic")


def test_labels_that_tell_nothing_take_all() -> None:
    """Where all golds that there may be are flat, nobody can follow any, and the best one can do is the reference."""
    world, runs = world_and_runs(sweep={"loss": ["squared"], "beta": [0.5], "seeds": 1})
    flat = replace(known_gold(world), features=np.zeros((1, world.listing.gold.shape[1], 1)))
    parts = parts_of(world, flat, [Ended(run=runs[0], kl=0.4, gold=0.0)])[runs[0].run_id]
    oracle = oracle_by_bisection(world, 0.4)
    assert [parts[name] for name in ("total", *PARTS)] == pytest.approx([oracle, oracle, 0, 0, 0], abs=1e-8)


def test_what_only_the_class_takes_is_the_class() -> None:
    """A linear policy whose features see one token cannot say what gold says; a tabular one loses nothing there."""
    parts = {}
    for kind in ("linear", "tabular"):
        world, runs = world_and_runs(
            policy={"kind": kind},
            gold={"reward": "motif"},
            train={"steps": 200, "learning_rate": 0.05},
            sweep={"loss": ["logistic"], "beta": [0.5], "seeds": 1},
        )
        (found,) = parts_of(world, known_gold(world), [Ended(run=runs[0], kl=0.4, gold=0.0)]).values()
        parts[kind] = float(found["policy_class"])
    assert parts["tabular"] == pytest.approx(0, abs=1e-9)
    assert parts["linear"] > 0.1


def test_a_loss_without_minimum_is_left_out() -> None:
    """Where labels are sure, the logistic loss of a policy that can be anything falls without end."""
    sure = {"labels": "deterministic"}
    world, runs = world_and_runs(data=sure, sweep={"loss": ["logistic", "squared"], "beta": [0.5], "seeds": 1})
    found = parts_of(world, known_gold(world), [Ended(run=run, kl=0.4, gold=0.0) for run in runs])
    assert [name.split("-")[1] for name in found] == ["squared"]


def planted(grown: Callable[[int], float]) -> pd.DataFrame:
    """Four seeds at three betas; gold is highest at 0.1, and from there to 0.01 two parts grow."""
    rows = []
    for seed in range(4):
        for beta, gold, steps in ((1.0, 0.2, 0.1), (0.1, 0.9, 0.2), (0.01, 0.3, 0.2 + grown(seed))):
            parts = {"labels": 0.1, "loss": 0.0, "policy_class": 0.0, "optimizer_beta": 0.0}
            parts |= {"optimizer_steps": steps, "optimizer_pairs": 0.3}
            total = sum(parts.values())
            about = {"run_id": f"{beta}-{seed}", "objective": "logistic", "beta": beta, "kappa": 0.25, "seed": seed}
            known = {"kl": 1.0, "gold": gold, "oracle": gold + total, "total": total}
            rows.append(about | known | parts | {"optimizer": steps + 0.3, "gold_family": "", "chains_spread": 1.0})
    return pd.DataFrame(rows)


def test_what_grows_is_what_was_planted() -> None:
    table = planted(lambda seed: 0.5 + 0.1 * seed)
    grown = overoptimization(table).set_index("part")
    assert (grown["from_beta"] == 0.1).all()
    assert (grown["to_beta"] == 0.01).all()
    assert grown.loc["optimizer_steps", "growth"] == pytest.approx(0.65)
    half = 3.182446 * np.std([0.5, 0.6, 0.7, 0.8], ddof=1) / 2
    assert grown.loc["optimizer_steps", "growth_high"] == pytest.approx(0.65 + half, abs=1e-5)
    for part in ("labels", "loss", "policy_class", "optimizer_beta", "optimizer_pairs"):
        assert grown.loc[part, "growth"] == pytest.approx(0)
    assert "steps 0.7 ± 0.2, pairs 0.00" in lines_of(table)[-1]


def test_where_gold_is_highest_at_the_smallest_beta_nothing_grows() -> None:
    table = planted(lambda seed: 0.5)
    table.loc[table["beta"] == 0.01, "gold"] = 2.0
    assert lines_of(table)[-1].endswith("nothing is overoptimized")


def test_chains_that_have_not_met_are_said() -> None:
    table = planted(lambda seed: 0.5)
    assert not any("R-hat" in line for line in lines_of(table))
    assert "R-hat is up to 1.30" in lines_of(table.assign(chains_spread=1.3))[-1]


def test_a_seed_that_lacks_a_beta_does_not_count() -> None:
    """As where one of its runs diverged."""
    table = planted(lambda seed: 0.5 + 0.1 * seed)
    left = table[~((table["seed"] == 3) & (table["beta"] == 0.01))]
    grown = overoptimization(left).set_index("part")
    assert grown.loc["optimizer_steps", "growth"] == pytest.approx(0.6)
    assert lines_of(left[left["beta"] != 0.01].iloc[[0, 3]])[-1] == "no seed has ended well at every beta"


def test_findings_name_what_was_planted() -> None:
    first, second = findings(planted(lambda seed: 0.5 + 0.1 * seed))
    assert "because of learning from these pairs again and again" in first
    assert "most of all because of too few steps" in second


def test_each_value_of_a_further_axis_has_a_panel() -> None:
    table = pd.concat([planted(lambda seed: 0.5).assign(policy_kind=kind) for kind in ("linear", "tabular")])
    with drawn_as(PAGE):
        figure = draw(table)
        check_rules(figure)
    panels = [axes.get_title(loc="left") for axes in figure.axes]
    assert sorted("linear" in title for title in panels) == [False, True]


def test_small_data_sets_have_batches_of_their_size() -> None:
    """A run with fewer pairs than a batch takes all of them at each step; so does the training beside it."""
    _, runs = world_and_runs(data={"pairs": 8})
    assert runs[0].settings.train.batch == 16
    assert lengthened(runs[0], 4).settings.train.batch == 8
    assert lengthened(runs[0], 4).steps == 12
