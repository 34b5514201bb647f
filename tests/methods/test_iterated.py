"""Iterated RLHF: what each round learns from, climbs and starts at, against what is said of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import analysis
import simulator as sim
from simulator.engine.gradient_steps import start
from simulator.methods import METHODS
from simulator.methods.algorithms.iterated_rounds import IteratedLearner, begin_at, combined, places
from simulator.methods.iterated import Iterated
from simulator.proxies.scores import Trained
from simulator.settings.proxy_table import Proxy
from simulator.settings.run import Run
from simulator.sweeps.grid import expand
from simulator.sweeps.sweep import Sweep
from tests.conftest import heard, small_sweep

ROUNDS, STEPS, PAIRS = 3, 8, 40


def sweep_of(seeds: int = 2, method: Any = "iterated", **own: Any) -> Sweep:
    return small_sweep(
        sweep={"method": method, "penalty": [0.05], "seeds": seeds},
        data={"pairs": PAIRS},
        train={"steps": STEPS, "checkpoints": 4, "learning_rate": 0.01},
        proxy={"steps": 20, "width": 8, "batch": 16},
        rl={"prompts": 3, "responses": 4},
        iterated={"rounds": ROUNDS} | own,
    )


def runs_of(**own: Any) -> list[Run]:
    return expand(sweep_of(**own))


@pytest.fixture(scope="module")
def first(lab: sim.World) -> list[sim.Proxy]:
    """Proxies of the first round, of two seeds."""
    pairs = [lab.preferences(PAIRS, seed=seed) for seed in range(2)]
    return [sim.train_proxy(lab, each, width=8, steps=20, seed=seed) for seed, each in enumerate(pairs)]


def learner_of(lab: sim.World, first: list[sim.Proxy], seeds: int = 2, **own: Any) -> IteratedLearner:
    runs = runs_of(seeds=seeds, **own)
    made = METHODS["iterated"].learner
    assert made is not None
    found = made(runs, lab.simulated, [proxy.ensemble for proxy in first[:seeds]], None)
    assert isinstance(found, IteratedLearner)
    return found


def take(learner: IteratedLearner, until: int) -> None:
    with torch.no_grad():
        while learner.step < until:
            learner.advance(learner.next_stop(until) - learner.step)


@pytest.mark.parametrize(
    ("data", "expected"),
    [("last", [0, 0, PAIRS]), ("concatenate", [PAIRS, PAIRS, PAIRS]), ("sample", [13, 13, 14])],
)
def test_a_proxy_learns_from_the_pairs_of_the_rounds_that_it_should(data: str, expected: list[int]) -> None:
    found = places(data, 2, PAIRS, seed=3)
    assert np.bincount(found // PAIRS, minlength=3).tolist() == expected
    assert len(set(found.tolist())) == sum(expected)
    assert found.tolist() != sorted(found.tolist())
    assert (places(data, 2, PAIRS, seed=3) == found).all()


def test_pairs_of_a_round_are_drawn_from_the_policy_that_ended_the_one_before(
    lab: sim.World, first: list[sim.Proxy]
) -> None:
    """The policy is put on one response to each prompt, so all pairs of the next round are that response twice."""
    learner = learner_of(lab, first)
    take(learner, STEPS)
    learner.state.parameters.mul_(1e3)  # all but one token have no probability left
    take(learner, STEPS + 1)
    assert learner.pairs is not None
    assert learner.pairs.prompt.shape == (2, 2 * PAIRS)
    fresh = learner.pairs.responses[:, PAIRS:]
    assert torch.equal(fresh[:, :, 0], fresh[:, :, 1])
    old = learner.pairs.responses[0, :PAIRS]
    assert torch.equal(old, lab.preferences(PAIRS, seed=0).responses)


def test_where_a_round_starts(lab: sim.World) -> None:
    reference = lab.reference.parameters[0]
    ended = start(reference, 2)
    ended.parameters.add_(1.0)
    ended.optimizer.first.add_(1.0)
    ended.diverged_at[1] = 5
    for own, moved in (
        (Iterated(start="reference"), 0.0),
        (Iterated(start="last"), 1.0),
        (Iterated(start="interpolated", interpolation=0.25), 0.4),
    ):
        began = begin_at(ended, reference.expand(2, -1) + 0.2, reference, own)
        assert torch.allclose(began.parameters, reference + moved)
        assert began.step == 0
        assert not began.optimizer.first.any()
        assert began.diverged_at.tolist() == [-1, 5]


def test_proxies_of_rounds_are_combined_as_said(lab: sim.World, first: list[sim.Proxy]) -> None:
    """Against the networks' scores, each in its own unit, by plain sums over responses."""
    world = lab.simulated
    networks = [proxy.ensemble.members[0] for proxy in first]
    assert all(isinstance(network, Trained) for network in networks)
    law = world.listing.reference_probs
    standard = []
    for network in networks:
        centred = network.scores - (law * network.scores).sum(axis=1, keepdims=True)
        standard.append(centred / np.sqrt((law * centred**2).sum(axis=1).mean()))

    def alike(proxy: Any, scores: np.ndarray) -> None:
        centred = scores - (law * scores).sum(axis=1, keepdims=True)
        ratio = (proxy.table * centred).sum() / (centred**2).sum()
        assert proxy.table == pytest.approx(ratio * centred, abs=1e-6)

    rounds, plain = [(network,) for network in networks], Proxy()
    alike(combined(rounds, world, "last", plain), standard[1])
    alike(combined(rounds, world, "mean", plain), (standard[0] + standard[1]) / 2)
    alike(combined(rounds, world, "worst_case", plain), np.minimum(*standard))
    alike(combined([tuple(networks)], world, "last", Proxy(combine="worst_case")), np.minimum(*standard))
    alike(combined([tuple(networks)] * 2, world, "mean", plain), (standard[0] + standard[1]) / 2)
    mean = torch.stack([network.parameters for network in networks]).mean(dim=0)
    scores = world.score_listed(mean[None], networks[0].architecture)[0].numpy()
    alike(combined(rounds, world, "average_weights", plain), scores)


@pytest.mark.parametrize("begun", [3, STEPS, STEPS + 2, 2 * STEPS, 2 * STEPS + 5])
def test_rounds_go_on_from_a_saved_state(lab: sim.World, first: list[sim.Proxy], begun: int) -> None:
    own = {"data": "sample", "proxies": "average_weights", "start": "interpolated"}
    whole, some, then = (learner_of(lab, first, **own) for _ in range(3))
    take(whole, ROUNDS * STEPS)
    take(some, begun)
    then.restore({name: tensor.clone() for name, tensor in some.tensors().items()})
    assert then.step == begun
    take(then, ROUNDS * STEPS)
    assert torch.equal(whole.state.parameters, then.state.parameters)
    assert then.step == ROUNDS * STEPS


def test_a_saved_state_has_the_proxies_whatever_computes_the_policies() -> None:
    """Proxies are computed as those of the first round are, so `train.engine` does not matter when they come back."""
    sweep = small_sweep(
        sweep={"method": "iterated", "seeds": 1},
        world={"prompts": 8, "vocabulary": 6},
        train={"steps": STEPS, "engine": "torch"},
        proxy={"steps": 20, "width": 32},
    )
    world, made = sim.make_world(sweep), METHODS["iterated"].learner
    assert made is not None
    proxy = sim.train_proxy(world, world.preferences(48), width=32, steps=20).ensemble
    one, other = (made(expand(sweep), world.simulated, [proxy], None) for _ in range(2))
    assert isinstance(one, IteratedLearner)
    assert isinstance(other, IteratedLearner)
    take(one, STEPS + 1)
    other.restore({name: tensor.clone() for name, tensor in one.tensors().items()})
    assert (one.networks[1][0][0].scores == other.networks[1][0][0].scores).all()


def test_a_run_has_the_same_bits_alone_and_in_a_stack(lab: sim.World, first: list[sim.Proxy]) -> None:
    stack, alone = learner_of(lab, first), learner_of(lab, first, seeds=1)
    for learner in (stack, alone):
        take(learner, ROUNDS * STEPS)
    assert torch.equal(stack.state.parameters[:1], alone.state.parameters)


def test_one_round_is_reinforcement_learning(lab: sim.World, tmp_path: Path) -> None:
    """Every measured number is that of method "rl" with the same proxy."""
    with heard():  # of keys that one of the two does not read
        sim.run_sweep(sweep_of(method=["iterated", "rl"], rounds=1), tmp_path / "once", workers=1)
    curves = analysis.load(tmp_path / "once")
    curves = curves[curves["method"] != "oracle"]
    by = {method: rows.reset_index(drop=True) for method, rows in curves.groupby("method")}
    numbers = ["step", "kl", "gold", "proxy", "entropy"]
    assert by["iterated"][numbers].equals(by["rl"][numbers])


def test_a_sweep_of_designs_has_a_checkpoint_where_each_round_ends(tmp_path: Path) -> None:
    with heard():  # of keys of the small sweep that it does not read
        sim.run_sweep(sweep_of(seeds=1), tmp_path / "sweep", workers=1)
    curves = analysis.load(tmp_path / "sweep")
    rows = curves[curves["method"] == "iterated"]
    assert {0, STEPS, 2 * STEPS, 3 * STEPS} <= set(rows["step"])
    assert len(rows) == 1 + 3 * 3
    assert (rows["status"] == "ok").all()


def test_a_run_that_diverges_keeps_the_rounds_before(lab: sim.World, first: list[sim.Proxy]) -> None:
    """The step of divergence is counted from the beginning, as those of checkpoints are."""
    learner = learner_of(lab, first, start="last")
    take(learner, STEPS + 2)
    learner.state.parameters[1] = torch.nan
    take(learner, 2 * STEPS + 1)
    assert learner.state.diverged_at.tolist() == [-1, STEPS + 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {
                "world": {"kind": "sampled"},
                "measure": {"prompts": 2},
                "iterated": {"proxies": "worst_case"},
            },
            r'iterated.proxies \(="worst_case"\) compares proxies after recentring them at each prompt',
        ),
        ({"proxy": {"kind": "planted"}}, r'proxy.kind \(="planted"\) learns from no pairs'),
        ({"data": {"filter": "ches"}}, r'data.filter \(="ches"\) is for pairs before training'),
    ],
)
def test_what_has_no_fresh_pairs_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(sim.ConfigError, match=message):
        expand(small_sweep(sweep={"method": "iterated"}, **changes))


def test_keys_that_say_nothing_make_no_other_run() -> None:
    plain = runs_of()[0].run_id
    assert runs_of(interpolation=0.9)[0].run_id == plain
    assert runs_of(start="interpolated", interpolation=0.9)[0].run_id != runs_of(start="interpolated")[0].run_id
    assert runs_of(rounds=1, start="last", data="last")[0].run_id == runs_of(rounds=1)[0].run_id
