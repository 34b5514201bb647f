"""Listed worlds whose responses may end early, against walking token by token, samples, and finite differences."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import simulator as sim
from simulator.measurement.exact import measure_distribution
from simulator.methods.algorithms.policy_gradients import objective
from simulator.networks.token_log_probs import response_log_probs
from simulator.settings.data_table import Data
from simulator.worlds.components import content_of, fluency_under, make_components
from simulator.worlds.enumerable import EnumerableWorld
from simulator.worlds.sampled import sample_world
from tests.conftest import heard, small_sweep

CPU = torch.device("cpu")
END, FILL = 3, -1


def ending(**tables: dict[str, object]) -> sim.Sweep:
    """Three spoken tokens and an end, up to three tokens; gold likes long responses."""
    world = {"language": {"stop": 0.3}, "prompts": 3, "prompt_length": 3, "response_length": 3, "vocabulary": 4}
    given = {
        "world": world,
        "gold": {"reward": "additive", "length": 0.7},
        "policy": {"layers": 1, "width": 16},
        "measure": {"samples": 1024, "baseline": 1024},
    }
    return small_sweep(**{name: {**given.get(name, {}), **tables.get(name, {})} for name in {**given, **tables}})


@pytest.fixture(scope="module")
def lab() -> sim.World:
    return sim.make_world(ending())


def listed(lab: sim.World) -> EnumerableWorld:
    assert isinstance(lab.simulated, EnumerableWorld)
    return lab.simulated


@pytest.fixture(scope="module")
def near(lab: sim.World) -> sim.Policies:
    """Two policies away from the reference, the second farther."""
    noise = torch.randn(2, lab.reference.parameters.shape[1], generator=torch.Generator().manual_seed(0))
    rows = lab.reference.parameters + torch.tensor([[0.1], [0.3]]) * noise
    return lab.policies(rows, pd.DataFrame({"run_id": ["near", "far"]}))


def law_of(lab: sim.World, policies: sim.Policies) -> Tensor:
    """log pi of every response, token by token, [R, P, G]."""
    return policies.log_prob(lab.prompts, lab.responses.expand(len(lab.prompts), -1, -1))


def test_everything_measured_is_a_sum_over_responses(lab: sim.World, near: sim.Policies) -> None:
    assert len(lab.responses) == lab.facts["responses"] == 1 + 3 + 9 + 27
    log_pi, log_ref = law_of(lab, near), law_of(lab, lab.reference)[0]
    pi, ref = log_pi.exp(), log_ref.exp()
    assert pi.sum(dim=2).numpy() == pytest.approx(1, abs=1e-5)
    found, lengths = lab.measure(near), (lab.responses != FILL).sum(dim=1).double()
    gold = lab.gold(lab.prompts, lab.responses.expand(len(lab.prompts), -1, -1))
    exact = {
        "kl": (pi * (log_pi - log_ref)).sum(dim=2),
        "entropy": -(pi * log_pi).sum(dim=2),
        "length": (pi * lengths).sum(dim=2),
        "gold": (pi * gold).sum(dim=2),
    }
    for name, value in exact.items():
        assert found[name].to_numpy() == pytest.approx(value.mean(dim=1).numpy(), abs=2e-5), name
    at_lengths = np.zeros(2)
    for run, prompt in itertools.product(range(2), range(3)):
        for length in (1, 2, 3):
            own, usual, worth = [law[prompt][lengths == length] for law in (pi[run], ref, gold)]
            at_lengths[run] += float(usual.sum() * (own * worth).sum() / own.sum()) / 3
    assert found["gold_equal_length"].to_numpy() == pytest.approx(at_lengths, abs=2e-5)
    by_function = lab.measure(lambda prompts, responses: near.log_prob(prompts, responses))
    for name in (*exact, "gold_equal_length", "win_rate", "mu_squared"):
        assert by_function[name].to_numpy() == pytest.approx(found[name].to_numpy(), abs=2e-5), name
    assert lab.facts["reference_length"] == pytest.approx((ref * lengths).sum(dim=1).mean().item(), abs=1e-5)


def test_gold_has_the_weight_of_length_that_it_was_given(lab: sim.World) -> None:
    world, spec = listed(lab), lab.settings.spec
    ground, texts = make_components(spec, CPU), world.responses.numpy()
    ref, total = world.reference_law.reference.exp().numpy(), np.zeros((3, len(texts)))
    lengths = (texts != FILL).sum(axis=1)
    scores = (content_of(spec), fluency_under(ground.language), lambda prompts, responses: lengths)
    for score, weight in zip(scores, (1.0, spec.gold.fluency, spec.gold.length), strict=True):
        each = np.stack([score(np.repeat(row[None], len(texts), axis=0), texts) for row in ground.prompts])
        each = each - (ref * each).sum(axis=1, keepdims=True)
        total += weight * each / np.sqrt((ref * each**2).sum(axis=1).mean())
    unit = np.sqrt((ref * total**2).sum(axis=1).mean())
    assert world.reference_law.gold.numpy() == pytest.approx(total / unit, abs=1e-9)
    assert (sim.make_world(ending(gold={"length": -0.7})).facts["gold_length"]) == -0.7
    with pytest.raises(ValueError, match=r"gold.length \(=0.5\) weighs the number of tokens, which is 3 for all"):
        small_sweep(gold={"length": 0.5})


def test_a_policy_that_changes_lengths_alone_gains_nothing_at_equal_length(lab: sim.World) -> None:
    world = listed(lab)
    law, lengths = world.reference_law, world.response_list.lengths.double()
    tilted = (law.reference + torch.tensor([0.9, -2.0, 400.0])[:, None, None] * lengths).log_softmax(dim=-1)
    found = measure_distribution(tilted, law, law.probability)
    assert found["gold"].abs().min() > 0.1
    assert found["gold_equal_length"].abs().max() < 1e-12
    never = torch.where(lengths == 3, law.reference, -torch.inf).log_softmax(dim=-1)[None]  # says no other length
    assert measure_distribution(never, law, law.probability)["gold_equal_length"].abs().item() < 1e-12
    assert "gold_equal_length" not in measure_distribution(tilted, replace(law, lengths=None), law.probability)


def test_a_policy_has_the_same_bits_alone_and_in_a_stack(lab: sim.World, near: sim.Policies) -> None:
    one = sim.make_world(ending(world={**lab.settings.world.model_dump(exclude_defaults=True), "prompts": 1})).simulated
    for world in (lab.simulated, one):
        together, _ = world.measure(near.parameters, None, Data())
        for row in range(2):
            alone, _ = world.measure(near.parameters[row : row + 1], None, Data())
            for name, value in together.items():
                assert torch.equal(alone[name][0].nan_to_num(), value[row].nan_to_num()), name  # empty parts have none


def test_behaviours_are_laws_and_what_is_drawn_from_them(lab: sim.World) -> None:
    world = listed(lab)
    for data in (Data(), Data(behaviour="uniform"), Data(behaviour="mixture"), Data(behaviour="tempered")):
        assert world.behaviour_distribution(data).sum(axis=1) == pytest.approx(1, abs=1e-9)
    uniform = world.behaviour_distribution(Data(behaviour="uniform"))
    by_token = [np.prod([1 / 4 for token in tokens if token != FILL]) for tokens in world.responses.tolist()]
    assert uniform == pytest.approx(np.tile(by_token, (3, 1)), rel=1e-12)
    drawn = lab.preferences(4000, behaviour="uniform").responses.flatten(0, 1)
    assert ((drawn != FILL).sum(dim=1) == 1).double().mean().item() == pytest.approx(1 / 4, abs=0.02)
    pairs = lab.preferences(64)
    said = lab.reference.log_prob(pairs.prompts, pairs.responses)[0]
    assert pairs.drawn.preferences.reference.numpy() == pytest.approx(said.numpy(), abs=1e-5)


def test_a_sampled_world_agrees_with_the_list(lab: sim.World, near: sim.Policies) -> None:
    tables = ending().model_dump(exclude_defaults=True)
    sweep = ending(world={**tables["world"], "kind": "sampled"})
    exact, _ = lab.simulated.measure(near.parameters, None, Data())
    ground = make_components(lab.settings.spec, CPU)
    for seed in range(3):
        spec = sweep.settings_at({}).spec
        world = sample_world(replace(spec, world=spec.world.model_copy(update={"seed": seed})), ground, CPU)
        with torch.no_grad():
            found, _ = world.measure(near.parameters, None, Data())
        assert "gold_equal_length" not in found
        for name in ("kl", "entropy", "length", "gold", "fluency", "win_rate"):
            off = (found[name] - exact[name]).abs() / found[f"{name}_se"]
            assert off.max() < 4.5, name
            assert found[f"{name}_se"].max() < 0.1


def slope_by_differences(value, parameters: Tensor, towards: Tensor) -> float:
    step = 1e-5
    high, low = (value(parameters + sign * step * towards) for sign in (1, -1))
    return float((high - low) / (2 * step))


def test_gradients_of_exact_expectations_are_those_of_sums_over_responses(lab: sim.World, near: sim.Policies) -> None:
    """The objective of reinforcement learning, and the forward KL, in float64 along a random direction."""
    world = listed(lab)
    rows = near.parameters[:1].double()
    towards = torch.randn(rows.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    scores, penalty = world.reference_law.gold[None], torch.tensor([[0.3]], dtype=torch.float64)
    texts = world.responses.expand(1, 3, -1, -1)

    def law(parameters: Tensor) -> Tensor:
        return response_log_probs(parameters, world.architecture, world.prompts[None], texts)

    def gain(parameters: Tensor) -> Tensor:
        said = law(parameters)
        return (said.exp() * (scores - 0.3 * (said - world.reference_log_probs))).sum(dim=-1).mean()

    leaf = rows.clone().requires_grad_()
    found = objective(leaf, world, scores, penalty)
    (slope,) = torch.autograd.grad(found.sum(), leaf)
    assert found.item() == pytest.approx(gain(rows).item(), abs=1e-9)
    assert (slope * towards).sum().item() == pytest.approx(slope_by_differences(gain, rows, towards), rel=1e-5)

    def forward(parameters: Tensor) -> Tensor:
        return (world.reference_law.probability * (law(parameters) - world.reference_log_probs)).sum(dim=-1).mean()

    under = world.under_reference([0])
    value, slope = under.gradient(rows, [0], slice(0, 1), step=1, prompts=3)
    assert value.item() == pytest.approx(forward(rows).item(), abs=1e-6)
    assert under.value(rows, slice(0, 1)).item() == pytest.approx(forward(rows).item(), abs=1e-9)
    assert (slope * towards).sum().item() == pytest.approx(slope_by_differences(forward, rows, towards), rel=1e-5)


@pytest.mark.slow
def test_every_method_runs_where_responses_end(tmp_path) -> None:
    sweep = ending(
        proxy={"width": 16, "steps": 8},
        best_of_n={"largest": 4},
        rl={"algorithm": "exact"},
        train={"steps": 6, "checkpoints": 3},
        online={"refresh": 3, "pairs": 8},
        keep={"policies": "end"},
        sweep={
            "method": ["gpo", "best_of_n", "rl", "gibbs"],
            "loss": ["vpo", "ln_dpo"],
            "beta": [0.1],
            "seeds": 1,
            "gold.length": [0.0, 0.5],
        },
    )
    with heard():
        folder = sim.run_sweep(sweep, tmp_path / "out", workers=1)
    curves = pd.read_parquet(folder / "curves.parquet")
    assert set(curves["method"]) == {"gpo", "best_of_n", "rl", "gibbs", "oracle"}
    assert set(curves["gold_length"]) == {0.0, 0.5}
    assert curves[["gold", "length", "gold_equal_length"]].notna().all().all()
    assert curves["length"].between(1, 3 + 1e-9).all()
    assert curves["length"].nunique() > 10
    said = pd.read_parquet(folder / "responses.parquet")
    assert said["response"].str.fullmatch("[abc]{3}|[abc]{0,2}d").all()
    assert not said.duplicated(["run_id", "prompt", "response"]).any()
