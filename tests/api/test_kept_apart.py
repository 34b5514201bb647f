"""Worlds, data and policies do not leak into each other, whatever users do with what they are given."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import simulator as sim
from tests.conftest import small_sweep


def first_row(world: sim.World, pairs: sim.Pairs) -> pd.Series:
    """What is measured before the first step, where the policy is the reference."""
    return next(iter(sim.training(world, pairs, steps=2)))


def test_pairs_of_a_twin_world_are_of_its_own_reference(pairs: sim.Pairs) -> None:
    twin = sim.make_world(small_sweep(reference={"steps": 5}))
    row = first_row(twin, pairs)
    assert row.train_loss == pytest.approx(np.log(2))
    assert row.train_accuracy == 0.5
    assert row.chosen_logratio == pytest.approx(0, abs=1e-6)


def test_pairs_that_were_changed_in_place_are_as_they_are(world: sim.World) -> None:
    changed = world.preferences(48, seed=3)
    before = changed.chosen.clone()
    changed.chosen.copy_(changed.rejected)
    changed.rejected.copy_(before)
    own = sim.Pairs(prompts=changed.prompts, chosen=changed.chosen, rejected=changed.rejected)
    assert first_row(world, changed).chosen_logratio == pytest.approx(0, abs=1e-6)
    ours, theirs = (sim.train(world, each, steps=5) for each in (own, changed))
    assert torch.equal(ours.parameters, theirs.parameters)
    assert torch.equal(world.preferences(48, seed=3).chosen, before)


def test_ranked_responses_are_replaced_as_a_whole(world: sim.World) -> None:
    ranked = world.preferences(8, responses=4)
    turned = dataclasses.replace(ranked, chosen=ranked.rejected, rejected=ranked.chosen)
    with pytest.raises(sim.ConfigError, match="chosen and rejected must be the first and the last of ranked"):
        sim.train(world, turned, loss="rpo_loo", steps=2)


USES: dict[str, Callable[[sim.World, sim.Pairs, sim.Proxy], object]] = {
    "data": lambda world, pairs, proxy: sim.train(world, proxy, method="rl"),
    "proxy": lambda world, pairs, proxy: world.measure(world.reference, proxy=proxy),
    "labeller": lambda world, pairs, proxy: world.preferences(8, labeller=proxy),
}


@pytest.mark.parametrize("name", USES)
def test_a_proxy_of_another_world_is_refused(name: str, world: sim.World, pairs: sim.Pairs) -> None:
    other = sim.make_world(small_sweep(world={"seed": 2}))
    proxy = sim.train_proxy(other, other.preferences(48), width=16, steps=2)
    with pytest.raises(sim.ConfigError, match=f"{name}: was trained in a world of another reference or other prompts"):
        USES[name](world, pairs, proxy)


def test_a_function_may_change_what_it_is_given(world: sim.World, pairs: sim.Pairs) -> None:
    policy = world.reference

    def spoils(prompts: torch.Tensor, responses: torch.Tensor) -> torch.Tensor:
        found = policy.log_prob(prompts, responses)[0]
        prompts.zero_()
        responses.zero_()
        return found.to(torch.float64).requires_grad_()

    before = world.prompts, pairs.chosen.clone()
    plain = world.measure(policy.log_prob, pairs=pairs)
    pd.testing.assert_frame_equal(world.measure(spoils, pairs=pairs), plain)
    assert torch.equal(world.prompts, before[0])
    assert torch.equal(pairs.chosen, before[1])


def test_what_a_world_gives_is_a_copy(world: sim.World) -> None:
    world.reference.parameters.mul_(0.5)
    world.prompts.zero_()
    world.responses.zero_()
    assert world.measure(world.reference)["kl"][0] == pytest.approx(0, abs=1e-6)
    assert world.responses.any()


def test_data_of_different_behaviour_is_trained_apart(world: sim.World) -> None:
    several = [world.preferences(48), world.preferences(48, seed=1, behaviour="uniform")]
    with pytest.raises(sim.ConfigError, match=r"data: were drawn by other settings of \[data\] each"):
        sim.train(world, several, seed=[0, 1])


def test_a_run_is_named_by_what_it_learned_from(world: sim.World, pairs: sim.Pairs) -> None:
    turned = sim.Pairs(prompts=pairs.prompts, chosen=pairs.rejected, rejected=pairs.chosen)
    some = sim.Pairs(prompts=pairs.prompts[:10], chosen=pairs.chosen[:10], rejected=pairs.rejected[:10])
    each = [sim.train(world, data, steps=2, seed=seed) for data in (pairs, turned, some) for seed in (0, 3)]
    names = [policies.table["run_id"][0] for policies in each]
    assert len(set(names)) == 6
    assert each[-1].table["pairs"][0] == 10

    def scaled(by: float) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda z: (z - by).square()

    assert len({sim.train(world, pairs, loss=scaled(by), steps=2).table["run_id"][0] for by in (1.0, 2.0)}) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data.label_noise": 0.4}, r"data.label_noise cannot change here any more; give it to world.preferences\(…\)"),
        ({"world.prompts": 7}, r"world.prompts cannot change here any more; give it to make_world\(…\)"),
    ],
)
def test_what_the_world_has_had_cannot_change(
    settings: dict[str, object], message: str, world: sim.World, pairs: sim.Pairs
) -> None:
    for call in (sim.train, sim.train_proxy):
        with pytest.raises(sim.ConfigError, match=message):
            call(world, pairs, settings=settings)


def test_gold_labels_take_no_part_where_a_proxy_labels(world: sim.World, pairs: sim.Pairs) -> None:
    proxy = sim.train_proxy(world, pairs, width=16, steps=2)
    with pytest.raises(sim.ConfigError, match=r"label_noise = 0.3: says nothing where a proxy labels"):
        world.preferences(8, labeller=proxy, label_noise=0.3)
    four = world.preferences(8, labeller=proxy, responses=4)
    assert four.gold is not None
    assert torch.equal(four.gold, world.gold(four.prompts, torch.stack([four.chosen, four.rejected], dim=1)))


def test_responses_end_where_they_end() -> None:
    world = sim.make_world(
        small_sweep(world={"kind": "sampled", "language": {"stop": 0.3}}, measure={"samples": 4, "baseline": 8})
    )
    end = world.vocabulary - 1
    prompts = world.prompts[:1]
    assert torch.isfinite(world.reference.log_prob(prompts, [[[0, end, -1]]])).all()
    for wrong in ([-1, -1, -1], [end, 0, 1], [0, -1, end], [end, end, end]):
        with pytest.raises(sim.ConfigError, match=rf"must be -1 in every place behind its first {end}"):
            world.reference.log_prob(prompts, [[wrong]])


def test_a_policy_that_diverged_is_told_as_such(world: sim.World) -> None:
    broken = dataclasses.replace(world.reference, parameters=world.reference.parameters * torch.nan)
    row = world.measure(broken).iloc[0]
    assert row["status"] == "diverged"
    assert np.isnan(row["kl"])
    assert np.isnan(row["gold"])


def test_an_interrupted_training_is_not_gone_on_with(
    world: sim.World, pairs: sim.Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = sim.training(world, pairs, steps=20)
    next(iter(stack))

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(stack._learner), "advance", interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(stack)
    with pytest.raises(sim.ConfigError, match="training was interrupted, perhaps inside a step: begin it again"):
        list(stack)


def test_numbers_are_kept_to_the_last_bit(world: sim.World, pairs: sim.Pairs, tmp_path: Path) -> None:
    policies = sim.train(world, pairs, beta=[0.1 + 0.2, 1e-300, np.pi], steps=2)
    policies.save(tmp_path / "three")
    loaded = sim.load_policies(tmp_path / "three")
    pd.testing.assert_frame_equal(loaded.table, policies.table, check_exact=True)
    with pytest.raises(sim.ConfigError, match="tpu: must be one of auto, cpu, cuda"):
        sim.load_policies(tmp_path / "three", device="tpu")
    content = (tmp_path / "three").read_bytes()
    (tmp_path / "three").write_bytes(content.replace(b"gpo-logistic", b"gpo-logistik", 1))
    with pytest.raises(sim.ConfigError, match="it is not as it was written"):
        sim.load_policies(tmp_path / "three")


def test_choosing_among_policies(world: sim.World, pairs: sim.Pairs) -> None:
    policies = sim.train(world, pairs, beta=[0.1, 0.2, 0.3], steps=2)
    assert policies[np.int64(1)].table["beta"].tolist() == [0.2]
    assert policies[::-1].table["beta"].tolist() == [0.3, 0.2, 0.1]
    with pytest.raises(IndexError):
        policies[3]
    with pytest.raises(sim.ConfigError, match="policies: must be at least one"):
        world.measure(policies[3:])


def test_numbers_of_numpy_and_pandas_are_numbers(world: sim.World, pairs: sim.Pairs) -> None:
    for beta in (np.array([0.1, 0.2]), pd.Series([0.1, 0.2]), (0.1, 0.2)):
        assert len(sim.train(world, pairs, beta=beta, steps=2)) == 2
    unsigned = sim.Pairs(
        prompts=pairs.prompts.numpy().astype(np.uint16),
        chosen=pairs.chosen.tolist(),
        rejected=pairs.rejected.numpy()[::-1][::-1],
    )
    assert torch.equal(sim.train(world, unsigned, steps=2).parameters, sim.train(world, pairs, steps=2).parameters)
    with pytest.raises(sim.ConfigError, match="seed: must be one number here, not 2"):
        world.preferences(8, seed=[0, 1])
    with pytest.raises(sim.ConfigError, match="beta = a number of more than 40 digits: must be a number above 0"):
        sim.train(world, pairs, beta=10**400)
