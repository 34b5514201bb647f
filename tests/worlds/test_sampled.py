"""A world that is small enough to be both: what is sampled in it against what is exact."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import simulator as sim
from simulator.preferences.draw import draw_labelled
from simulator.preferences.pairs import Preferences, stack_preferences
from simulator.worlds.components import Components, make_components
from simulator.worlds.sampled import sample_world
from tests.conftest import small_sweep

CPU = torch.device("cpu")
FILL = -1  # stands in every place behind the end
WITH_ERROR = ("kl", "gold", "fluency", "proxy", "win_rate", "entropy")


def both(kind: str, *, seed: int = 1, measured: int | str = "all", samples: int = 16) -> sim.Sweep:
    return small_sweep(
        world={
            "kind": kind,
            "vocabulary": 6,
            "response_length": 4,
            "prompts": 40,
            "prompt_length": 3,
            "seed": seed,
        },
        measure={"samples": samples, "baseline": 48, "prompts": measured},
        data={"pairs": 128},
        gold={"reward": "motif"},
        policy={"layers": 1, "width": 16},
        sweep={"loss": ["logistic", "squared", "hinge"], "beta": [0.1, 1.0], "seeds": 2},
    )


Columns = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """One world listed, the policies of a sweep in it at five checkpoints [60, D], and what is true of them."""

    ground: Components
    listed: sim.World
    policies: Tensor
    pairs: Preferences
    exact: Columns

    def of(self, chosen: Sequence[int]) -> Columns:
        """What is true of some of the policies."""
        return {name: value[chosen] for name, value in self.exact.items()}


@pytest.fixture(scope="module")
def truth() -> Truth:
    sweep = both("enumerable")
    listed = sim.make_world(sweep)
    data, losses, betas = [listed.preferences(seed=seed) for seed in (0, 1)], list(sweep.sweep.loss), sweep.sweep.beta
    stack = sim.training(listed, data, loss=losses, beta=betas, seed=[0, 1], steps=60, checkpoints=6)
    seen: dict[int, Tensor] = {}
    for row in stack:
        if row.step not in seen:
            seen[row.step] = stack.policies.parameters
    policies = torch.cat([parameters for step, parameters in seen.items() if step > 0])
    seeds = stack.policies.table["seed"].tolist() * 5
    pairs = stack_preferences([draw_labelled(listed.simulated, sweep.data, seed) for seed in seeds])
    with torch.no_grad():
        exact, _ = listed.simulated.measure(policies, pairs, sweep.data)
    return Truth(ground=make_components(sweep, CPU), listed=listed, policies=policies, pairs=pairs, exact=exact)


def errors(found: Columns, exact: Columns, name: str) -> np.ndarray:
    """How many standard errors each estimate is from the truth."""
    return ((found[name] - exact[name]) / found[f"{name}_se"]).numpy()


@pytest.mark.slow
def test_samples_agree_with_sums_over_a_whole_sweep(truth: Truth) -> None:
    within = []
    for seed in (100, 101, 102):
        world = sample_world(both("sampled", seed=seed), truth.ground, CPU)
        with torch.no_grad():
            found, ratios = world.measure(truth.policies, truth.pairs, truth.listed.settings.data)
            _, exact_ratios = truth.listed.simulated.measure(truth.policies, truth.pairs, truth.listed.settings.data)
        exact = truth.exact
        within += [np.abs(errors(found, exact, name)) < 3 for name in WITH_ERROR]
        assert ratios.numpy() == pytest.approx(exact_ratios.numpy(), abs=5e-5)
        assert found["mu_squared"].numpy() == pytest.approx(exact["mu_squared"].numpy(), rel=0.3)
        assert (found["kl"] >= 0).all()
    assert np.concatenate(within).size == 1080
    assert np.mean(np.concatenate(within)) >= 0.99


@pytest.mark.slow(but="24")
@pytest.mark.parametrize("measured", ["all", 24])
def test_intervals_hold_the_truth_as_often_as_they_say(truth: Truth, measured: int | str, long: bool) -> None:
    """200 repeats in the long form, each with noise, a baseline and a choice of prompts of its own."""
    chosen = [5, 15, 30, 49]
    pairs = Preferences(**{name: value[chosen] for name, value in truth.pairs.tensors().items()}).first(1)
    held: dict[str, list[np.ndarray]] = {name: [] for name in WITH_ERROR}
    for repeat in range(200 if long else 70):
        world = sample_world(both("sampled", seed=1000 + repeat, measured=measured), truth.ground, CPU)
        with torch.no_grad():
            found, _ = world.measure(truth.policies[chosen], pairs, truth.listed.settings.data)
        exact = truth.of(chosen)
        for name in WITH_ERROR:
            held[name].append(np.abs(errors(found, exact, name)) < 1.96)
    shares = {name: np.mean(hits) for name, hits in held.items()}
    least, most = (0.92, 0.98) if long else (0.89, 0.995)
    assert all(least <= share <= most for share in shares.values()), shares


def test_common_noise_makes_differences_sharper_than_values(truth: Truth) -> None:
    """Two policies a small step apart, in twenty worlds: their difference varies less than either."""
    policy = truth.policies[20]
    near = torch.stack([policy, policy + 0.01 * policy.std() * torch.sign(truth.policies[21])])
    pairs = Preferences(**{name: value[:2] for name, value in truth.pairs.tensors().items()}).first(1)
    found = []
    for seed in range(20):
        world = sample_world(both("sampled", seed=seed), truth.ground, CPU)
        with torch.no_grad():
            found.append(world.measure(near, pairs, truth.listed.settings.data)[0]["gold"].numpy())
    values = np.array(found)
    assert np.ptp(values, axis=1).max() > 0
    assert (values[:, 0] - values[:, 1]).std() < 0.5 * values.std(axis=0).min()


def stopping() -> sim.Sweep:
    """Two spoken tokens and an end, up to three tokens."""
    return small_sweep(
        world={
            "kind": "sampled",
            "vocabulary": 3,
            "response_length": 3,
            "prompts": 4,
            "prompt_length": 3,
            "language": {"stop": 0.3},
        },
        measure={"samples": 512, "baseline": 512},
        gold={"reward": "motif"},
    )


def test_responses_that_end_are_measured_as_what_they_are() -> None:
    """Against sums over every response that can be said, filled or not."""
    world = sim.make_world(stopping())
    assert world.reference.end == 2
    texts = [list(body) for body in itertools.product((0, 1), (0, 1), (0, 1, 2))]
    texts += [[*body, 2] + [FILL] * (2 - n) for n in (0, 1) for body in itertools.product((0, 1), repeat=n)]
    every = torch.tensor(texts)
    origin = world.reference.parameters
    noise = torch.randn(origin.shape, generator=torch.Generator().manual_seed(0))
    policy = world.policies(origin + 0.2 * noise, pd.DataFrame({"run_id": ["near"]}))
    responses = every.expand(len(world.prompts), -1, -1)
    log_pi, log_ref = (one.log_prob(world.prompts, responses)[0] for one in (policy, world.reference))
    found = world.measure(policy)
    pi = log_pi.exp()
    assert pi.sum(dim=1).numpy() == pytest.approx(1, abs=1e-5)
    gold = world.gold(world.prompts, responses)
    below = torch.stack(
        [(gold[p][None] < gold[p][:, None]) + 0.5 * (gold[p][None] == gold[p][:, None]) for p in range(4)]
    )
    exact = {
        "kl": (pi * (log_pi - log_ref)).sum(dim=1).mean(),
        "entropy": -(pi * log_pi).sum(dim=1).mean(),
        "length": (pi * (every != FILL).sum(dim=1)).sum(dim=1).mean(),
        "gold": ((pi - log_ref.exp()) * gold).sum(dim=1).mean(),
        "win_rate": (pi * (below * log_ref.exp()[:, None]).sum(dim=2)).sum(dim=1).mean(),
    }
    for name, value in exact.items():
        assert abs(found[name][0] - value.item()) < 4 * found[f"{name}_se"][0], name
        assert found[f"{name}_se"][0] < 0.06
    assert found["length"][0] < 2.5


def test_the_sampled_world_draws_nested_pairs_of_the_behaviour_policy() -> None:
    world = sim.make_world(stopping())
    few, many = (
        draw_labelled(world.simulated, world.settings.data.model_copy(update={"pairs": pairs}), 3)
        for pairs in (40, 100)
    )
    for name in ("prompt", "responses", "reference"):
        assert torch.equal(getattr(few, name), getattr(many, name)[:40])
    uniform = world.preferences(4000, behaviour="uniform", labels="deterministic")
    first = uniform.responses[..., 0].flatten()
    assert np.bincount(first.numpy(), minlength=3) / len(first) == pytest.approx([1 / 3] * 3, abs=0.03)
    gold = world.gold(uniform.prompts, uniform.responses).unbind(dim=1)
    assert (gold[0] >= gold[1]).all()
    assert not torch.equal(world.preferences(40, seed=4).responses, few.responses)


def test_the_prompts_that_are_measured_are_any_of_them() -> None:
    """Over worlds, each prompt is measured as often as any other."""
    count = np.zeros(12)
    ground = make_components(small_sweep(**MANY_PROMPTS), CPU)
    for seed in range(60):
        settings = small_sweep(**MANY_PROMPTS | {"world": MANY_PROMPTS["world"] | {"seed": seed}})
        measured = sample_world(settings, ground, CPU).measurement.prompts
        count += (torch.from_numpy(ground.prompts)[:, None] == measured).all(dim=2).sum(dim=1).numpy()
    assert count.sum() == 60 * 3
    assert count.max() < 30
    assert ((count - 15) ** 2 / 15).sum() < 11 + 4 * np.sqrt(22)


MANY_PROMPTS: dict[str, Any] = {
    "world": {"kind": "sampled", "prompts": 12, "response_length": 2, "prompt_length": 3},
    "measure": {"prompts": 3, "samples": 2, "baseline": 4},
    "reference": {"steps": 20},
    "policy": {"width": 8, "layers": 1},
}


SAMPLED: dict[str, Any] = {
    "world": {"kind": "sampled", "vocabulary": 12, "response_length": 8, "prompts": 6, "language": {"stop": 0.1}},
    "measure": {"samples": 6, "baseline": 32, "kl_estimators": True, "prompts": 4},
    "policy": {"layers": 2, "width": 16},
    "sweep": {"loss": ["logistic", "hinge"], "beta": [0.1, 1.0], "seeds": 2},
    "train": {"steps": 12, "checkpoints": 4},
}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = sim.run_sweep(small_sweep(**SAMPLED), tmp_path_factory.mktemp("sampled") / "out", workers=1)
    return pd.read_parquet(folder / "curves.parquet")


def test_records_of_a_sampled_sweep_are_those_of_any_sweep(records: pd.DataFrame, curves: pd.DataFrame) -> None:
    listed = ("proxy_variance", "mu_squared_raised", "mu_squared_suppressed")  # where all responses are
    assert [name for name in records if not name.startswith("kl_k")] == [name for name in curves if name not in listed]
    assert {f"kl_k{i}{suffix}" for i in (1, 2, 3) for suffix in ("", "_se")} <= set(records)
    assert (records["method"] == "gpo").all()
    assert (records["status"] == "ok").all()
    moved = records[records["step"] > 0]
    assert (moved[["kl_se", "gold_se", "proxy_se", "win_rate_se"]] > 0).all().all()
    start = records[records["step"] == 0]
    assert (start[["kl", "proxy", "mu_squared"]].abs() < 1e-9).all().all()
    assert ((start["gold"] / start["gold_se"]).abs() < 4).all()
    assert records["length"].between(1, 8).all()


@pytest.mark.slow
def test_a_sampled_sweep_gives_the_same_bytes_again_in_other_stacks_and_processes(
    records: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulator.sweeps.memory_budget.stack_size", lambda _: 3)
    folder = sim.run_sweep(small_sweep(**SAMPLED), tmp_path / "again", workers=2, memory="8GiB")
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "curves.parquet"), records, check_exact=True)
