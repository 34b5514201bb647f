"""Loss and accuracy on held-out pairs, against what the public functions say of these pairs."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit, log_expit

import analysis
import simulator as sim
from simulator.methods.algorithms.pairwise_training import new_learner
from simulator.settings.data_table import Data
from simulator.sweeps.grid import expand
from tests.conftest import heard, small_sweep

HELD = 300


def learner_of(**tables: Any) -> tuple[sim.World, Any]:
    sweep = small_sweep(sweep={"loss": "logistic", "beta": [0.3], "seeds": 2}, measure={"held_out": HELD}, **tables)
    world = sim.make_world(sweep)
    return world, new_learner(expand(sweep), world.simulated, [])


@pytest.mark.parametrize("kind", ["enumerable", "sampled"])
def test_loss_and_accuracy_are_those_of_pairs_that_nothing_learned_from(kind: str) -> None:
    world, learner = learner_of(world={"kind": kind})
    with torch.no_grad():
        learner.advance(20)
        learner.measure()
    for run in range(2):
        pairs = learner.held_out.pairs.run(run)
        prompts, both = world.prompts[pairs.prompt], pairs.responses
        policy = world.policies(learner.state.parameters[run : run + 1], pd.DataFrame({"seed": [0]}))
        log_ratio = policy.log_prob(prompts, both)[0] - world.reference.log_prob(prompts, both)[0]
        margin = (log_ratio[:, 0] - log_ratio[:, 1]).numpy()
        same = np.isclose(margin, 0, atol=1e-5)
        right = np.where(same, 0.5, margin > 0).mean()
        assert learner.track.measured["held_out_accuracy"][0, run] == pytest.approx(right)
        assert learner.track.measured["held_out_loss"][0, run] == pytest.approx(
            -log_expit(0.3 * margin).mean(), rel=1e-4
        )


def test_the_loss_is_that_of_a_reference_that_moved() -> None:
    """With α = 1 the policy took the reference's place just before the last step: margins are those of one step."""
    world, learner = learner_of(train={"reference_sync": 10, "reference_mixup": 1.0})
    with torch.no_grad():
        for _ in range(2):
            learner.advance(10)
        before = learner.state.parameters.clone()
        learner.advance(1)
        learner.measure()
    pairs = learner.held_out.pairs.run(0)
    prompts = world.prompts[pairs.prompt]
    log_probs = [
        world.policies(some[:1], pd.DataFrame({"seed": [0]})).log_prob(prompts, pairs.responses)[0]
        for some in (learner.state.parameters, before)
    ]
    ratio = (log_probs[0] - log_probs[1]).numpy()
    loss = -log_expit(0.3 * (ratio[:, 0] - ratio[:, 1])).mean()
    assert learner.track.measured["held_out_loss"][0, 0] == pytest.approx(loss, rel=1e-4)


def test_held_out_pairs_are_others_with_labels_by_the_same_rule() -> None:
    """Chosen responses have more gold as often as Bradley and Terry say; and training does not change."""
    world, learner = learner_of()
    pairs = learner.held_out.pairs
    assert pairs.prompt.shape == (2, HELD)
    assert not torch.equal(pairs.responses[0], pairs.responses[1])
    own = world.simulated.candidates(Data(), 0, HELD, "pairs").responses
    assert not torch.equal(pairs.responses[0].sort(dim=1).values, own.sort(dim=1).values)
    gold = torch.stack(
        [world.gold(world.prompts[row], some) for row, some in zip(pairs.prompt, pairs.responses, strict=True)]
    ).numpy()
    gap = (gold[..., 0] - gold[..., 1]).ravel()
    assert (gap > 0).mean() + (gap == 0).mean() / 2 == pytest.approx(expit(np.abs(gap)).mean(), abs=0.06)
    sweep = small_sweep(sweep={"loss": "logistic", "beta": [0.3], "seeds": 2})
    plain = new_learner(expand(sweep), world.simulated, [])
    with torch.no_grad():
        for each in (learner, plain):
            each.advance(20)
    assert torch.equal(plain.state.parameters, learner.state.parameters)


def test_a_sweep_records_them_beside_others_and_not_where_none_are_asked_for(tmp_path: Path) -> None:
    losses = ["logistic", "rpo_squared", "kto", "ganpo", "simper"]
    asked = {"sweep": {"loss": losses, "beta": [0.3], "seeds": 1}, "train": {"steps": 10}}
    sweep = small_sweep(**asked, measure={"held_out": HELD})
    with heard():
        sim.run_sweep(sweep, tmp_path / "held", workers=1)
    curves = analysis.load(tmp_path / "held")
    rows = curves[curves["method"] == "gpo"]
    assert rows[["held_out_loss", "held_out_accuracy"]].notna().all().all()
    start = rows[rows["step"] == 0]
    assert start["held_out_accuracy"].to_numpy() == pytest.approx(0.5)
    logistic = start.loc[start["loss"] == "logistic", "held_out_loss"]
    assert logistic.to_numpy() == pytest.approx(np.log(2))
    names = {run.run_id for run in expand(small_sweep(**asked))}
    assert names == {run.run_id for run in expand(small_sweep(**asked, measure={"held_out": 0}))}
    assert names.isdisjoint(rows["run_id"])


def test_pairs_of_a_file_leave_none_to_hold_out(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prompt": [0], "chosen": [0], "rejected": [1]}\n' * 20, encoding="utf-8")
    with pytest.raises(sim.ConfigError, match=r"measure.held_out \(=10\) draws further pairs"):
        expand(small_sweep(data={"file": str(path)}, measure={"held_out": 10}))
