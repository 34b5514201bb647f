"""Tabular and linear policies against enumeration, closed forms, and themselves in other stacks."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

import simulator as sim
from simulator.methods import METHODS
from simulator.networks.compute_mode import one_thread
from simulator.worlds.policy_classes.features import FEATURES, features_count
from simulator.worlds.policy_classes.tilted import Tilted, TiltedUnderReference
from tests.helpers.tilted_worlds import every_response, gold_table, laws, tilted_world


@pytest.fixture(scope="module")
def tabular() -> sim.World:
    return tilted_world("tabular")


@pytest.fixture(scope="module")
def linear() -> sim.World:
    return tilted_world("linear")


def class_of(world: sim.World) -> Tilted:
    found = world.simulated.policy_class
    assert isinstance(found, Tilted)
    return found


def drawn_parameters(world: sim.World, rng: np.random.Generator, runs: int = 2) -> torch.Tensor:
    policies = class_of(world)
    rows = np.zeros((runs, len(policies.start)), dtype=np.float32)
    rows[:, : policies.parameters] = rng.normal(size=(runs, policies.parameters))
    return torch.from_numpy(rows)


def other_prompt(world: sim.World) -> list[int]:
    """A prompt that the world does not have."""
    known = world.prompts.tolist()
    return next(prompt for prompt in ([0, 0], [0, 1], [0, 2]) if prompt not in known)


def counted(name: str, prompt: list[int], response: tuple[int, ...], vocabulary: int) -> list[int]:
    """Features of one response, counted one after another."""
    text = (prompt[-1], *response)
    if name == "tokens":
        return [response.count(token) for token in range(vocabulary)]
    if name == "positions":
        return [int(token == said) for said in response for token in range(vocabulary)]
    pairs = list(itertools.pairwise(text))
    return [pairs.count(pair) for pair in itertools.product(range(vocabulary), repeat=2)]


@pytest.mark.parametrize("name", FEATURES)
def test_features_are_what_one_counts(name: str, rng: np.random.Generator) -> None:
    prompts = rng.integers(0, 3, size=(4, 2))
    responses = list(itertools.product(range(3), repeat=3))
    found = FEATURES[name](torch.from_numpy(prompts), torch.tensor(responses), 3)
    expected = [[counted(name, prompt, response, 3) for response in responses] for prompt in prompts.tolist()]
    assert found.tolist() == expected
    assert found.shape[2] == features_count(name, vocabulary=3, length=3)


def test_laws_are_the_reference_times_what_scores_say(
    tabular: sim.World, linear: sim.World, rng: np.random.Generator
) -> None:
    for world in (tabular, linear):
        policies, theta = class_of(world), drawn_parameters(world, rng)
        reference = laws(world, world.reference)[0]
        assert np.array_equal(policies.laws(policies.start[None])[0], policies.log_reference.log_softmax(dim=-1))
        assert reference == pytest.approx(world.simulated.reference_law.reference.numpy(), abs=1e-6)
        for run, row in enumerate(theta.numpy().astype(float)):
            for prompt in range(len(world.prompts)):
                if policies.kind == "tabular":
                    scores = row[9 * prompt : 9 * prompt + 9]
                else:
                    said = world.prompts[prompt].tolist()
                    counts = [counted("bigrams", said, tuple(one), 3) for one in world.responses.tolist()]
                    scores = np.array(counts) @ row[:9]
                weight = np.exp(reference[prompt] + scores)
                assert policies.laws(theta)[run, prompt].exp().numpy() == pytest.approx(weight / weight.sum(), rel=1e-5)


def test_laws_of_tokens_are_conditional_and_multiply(tabular: sim.World, rng: np.random.Generator) -> None:
    policies, theta = class_of(tabular), drawn_parameters(tabular, rng)
    rows = torch.tensor([[0, 1], [1, 0]])
    asked = tabular.responses.expand(2, 2, -1, -1)
    found = policies.token_log_probs(theta, rows, asked)
    whole = policies.log_probs(theta, rows, asked)
    assert torch.allclose(found.sum(dim=-1), whole)
    law = policies.laws(theta).exp()
    for run, place, number in itertools.product(range(2), range(2), range(9)):
        here, first = law[run, rows[run, place]], number // 3
        prefix = here[3 * first : 3 * first + 3].sum()
        expected = [prefix.log().item(), (here[number] / prefix).log().item()]
        assert found[run, place, number].tolist() == pytest.approx(expected)


def test_responses_are_drawn_from_the_law_alone_as_in_a_stack(linear: sim.World, rng: np.random.Generator) -> None:
    policies, theta = class_of(linear), drawn_parameters(linear, rng)
    rows = torch.tensor([[0, 1], [1, 1]])
    drawn = policies.draw(theta, rows, seeds=[5, 6], responses=20_000, purpose=("test",))
    alone = policies.draw(theta[1:], rows[1:], seeds=[6], responses=20_000, purpose=("test",))
    assert torch.equal(drawn[1:], alone)
    for run, place in itertools.product(range(2), range(2)):
        number = drawn[run, place] @ torch.tensor([3, 1])
        share = torch.bincount(number, minlength=9) / 20_000
        law = policies.laws(theta)[run, rows[run, place]].exp()
        assert ((share - law).abs() < 5 * (law * (1 - law) / 20_000).sqrt() + 1e-6).all()


def test_the_expectation_under_the_reference_is_minus_the_forward_kl(
    linear: sim.World, rng: np.random.Generator
) -> None:
    policies, theta = class_of(linear), drawn_parameters(linear, rng)
    under = TiltedUnderReference(policies=policies)
    reference = policies.log_reference
    expected = [
        sum((p.exp() * (q - p)).sum().item() for p, q in zip(reference, law, strict=True)) / 2
        for law in policies.laws(theta)
    ]
    assert under.value(theta, slice(0, 2)).tolist() == pytest.approx(expected)
    value, gradient = under.gradient(theta, [0, 1], slice(0, 2), step=1, prompts=2)
    assert value.tolist() == pytest.approx(expected)
    for place in range(policies.parameters):
        step = torch.zeros_like(theta)
        step[:, place] = 1e-2
        rise = under.value(theta + step, slice(0, 2)) - under.value(theta - step, slice(0, 2))
        assert (rise / 2e-2).tolist() == pytest.approx(gradient[:, place].tolist(), abs=1e-4)


@pytest.mark.parametrize(("kind", "population"), [("tabular", False), ("linear", False), ("linear", True)])
def test_a_run_has_the_same_bits_alone_in_a_stack_and_gone_on(kind: str, population: bool) -> None:
    world = tilted_world(kind, world__vocabulary=5, world__prompts=3, data__population=population)
    pairs = world.preferences(None if population else 64, seed=0)
    few = {"steps": 6, "settings": {"train.learning_rate": 0.1}}
    stack = sim.train(world, pairs, loss=["squared", "orpo", "vpo"], beta=[0.1, 1.0], seed=0, **few)  # type: ignore[arg-type]
    alone = sim.train(world, pairs, loss="vpo", beta=1.0, seed=0, **few)  # type: ignore[arg-type]
    assert torch.equal(alone.parameters[0], stack.parameters[-1])
    assert (laws(world, alone) != laws(world, world.reference)).any()
    begun = sim.training(world, pairs, loss="vpo", beta=1.0, seed=0, **few)  # type: ignore[arg-type]
    learner, new = METHODS["gpo"].learner, begun._learner
    assert learner is not None
    with one_thread(), torch.no_grad():
        new.measure()
        new.advance(2)
        other = learner(begun._runs, world.simulated, [], new.pairs)  # type: ignore[attr-defined]
        other.restore(new.tensors())
        other.advance(4)
    assert torch.equal(other.state.parameters, alone.parameters)


def test_exact_rl_of_tables_meets_the_gibbs_policy() -> None:
    """The optimum of E r - tau KL is pi_ref exp(r / tau) / Z, which a table can be."""
    world = tilted_world("tabular", world__response_length=1, proxy__width=4, proxy__steps=20)
    proxy = sim.train_proxy(world, world.preferences(32, seed=0), seed=0)
    settings = {"rl.algorithm": "exact", "train.learning_rate": 0.05}
    found = sim.train(world, proxy, method="rl", penalty=[2.0, 4.0], seed=0, steps=150, settings=settings)
    scores = proxy.score(world.prompts, every_response(world)).numpy()
    for law, tau in zip(laws(world, found), (2.0, 4.0), strict=True):
        weight = np.exp(laws(world, world.reference)[0] + scores / tau)
        assert np.exp(law) == pytest.approx(weight / weight.sum(axis=1, keepdims=True), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["rloo", "ppo"])
def test_policy_gradients_on_draws_climb(algorithm: str) -> None:
    world = tilted_world("linear", proxy__width=4, proxy__steps=20)
    proxy = sim.train_proxy(world, world.preferences(32, seed=0), seed=0)
    settings = {"rl.algorithm": algorithm, "train.learning_rate": 0.1}
    found = sim.train(world, proxy, method="rl", penalty=0.0, seed=0, steps=15, settings=settings)
    scores = proxy.score(world.prompts, every_response(world)).numpy()
    ends, starts = ((np.exp(laws(world, one)[0]) * scores).sum(axis=1).mean() for one in (found, world.reference))
    assert ends > starts + 0.05


def test_policies_are_kept_measured_and_known_for_what_they_are(
    tabular: sim.World, linear: sim.World, tmp_path: Path
) -> None:
    for world, other in ((tabular, linear), (linear, tabular)):
        few = {"train.learning_rate": 0.1, "online.refresh": 5}
        policies = sim.train(world, world.preferences(16, seed=0), beta=[0.1, 1.0], seed=0, steps=8, settings=few)
        policies.save(tmp_path / "kept.safetensors")
        loaded = sim.load_policies(tmp_path / "kept.safetensors")
        assert np.array_equal(laws(world, loaded), laws(world, policies))
        assert torch.equal(loaded.sample(world.prompts, 3, seed=2), policies.sample(world.prompts, 3, seed=2))
        measured = world.measure(loaded)
        gold, law = gold_table(world), np.exp(laws(world, policies))
        assert measured["gold"].tolist() == pytest.approx((law * gold).sum(axis=-1).mean(axis=-1).tolist())
        assert measured["kl"].tolist() == pytest.approx(world.measure(policies.log_prob)["kl"].tolist())
        with pytest.raises(sim.ConfigError, match="of another class"):
            other.measure(loaded)
        with pytest.raises(sim.ConfigError, match="is no prompt of this world"):
            policies.log_prob([other_prompt(world)], [[[0, 0]]])
