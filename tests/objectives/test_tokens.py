"""LD-DPO and WPO, which read single tokens: against TRL, plain networks, finite differences, and the logistic loss."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import simulator as sim
from simulator.engine.gradient_steps import advance, loss_and_gradient, losses_on_pairs, start
from simulator.engine.problem import TrainingProblem
from simulator.engine.recorded_steps import is_recordable
from simulator.methods.algorithms.pairwise_training import new_learner
from simulator.networks.compute_mode import Computing, computing
from simulator.objectives import OBJECTIVES
from simulator.objectives.objective import Pairs
from simulator.objectives.stacked_losses import ObjectiveSlice, StackedPairs, pair_losses
from simulator.sweeps.grid import expand
from tests.conftest import small_sweep
from tests.helpers.plain_network import plain_states
from tests.objectives.test_against_trl import BATCH, TOKENS, Given, assert_equal, inputs_of, outputs_of, stub, trainers

LANGUAGE = {"language": {"stop": 0.4}}
UNCAPPED = 1e6


class GivenTokens(Given):
    """With single tokens under the reference, and log Σ_v π(v)² where each is said, [B, 2, T]."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, equally_long=False)
        rng = np.random.default_rng(seed + 100)
        drawn = (torch.from_numpy(-rng.exponential(size=(BATCH, 2, TOKENS))) for _ in range(2))
        self.reference_tokens, self.squares = (values * self.there for values in drawn)
        self.reference = self.reference_tokens.sum(dim=2)

    def read(self, name: str, beta: float, **own: float) -> Tensor:
        """Our loss."""
        everything = {
            "token_log_probs": self.tokens,
            "token_reference": self.reference_tokens,
            "token_alignment": (self.tokens - self.squares).detach(),
        }
        given = StackedPairs(
            policy=self.policy[None],
            reference=self.reference[None],
            lengths=self.lengths[None],
            beta=torch.tensor([[beta]], dtype=torch.float64),
            tokens={0: {key: everything[key][None] for key in OBJECTIVES[name].tokens}},
        )
        numbers = {key: torch.tensor([[value]], dtype=torch.float64) for key, value in own.items()}
        return pair_losses(given, [ObjectiveSlice(objective=OBJECTIVES[name], rows=1, hyperparameters=numbers)]).mean()


def of_trl(given: GivenTokens, beta: float, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Tensor:
    """TRL's loss, with a reference model."""
    trainer = stub(loss_types=["sigmoid"], loss_weights=[1.0], beta=beta, label_smoothing=0.0)
    trainer.args = SimpleNamespace(gradient_checkpointing_kwargs=None)
    trainer.precompute_ref_logps = False
    vars(trainer).update(changes)
    of_policy, of_reference = outputs_of(given), outputs_of(given)
    of_policy.log_sum_sq_probs = given.squares.transpose(0, 1).flatten(0, 1)
    of_reference.log_probs = given.reference_tokens.transpose(0, 1).flatten(0, 1)
    trainer.ref_model = lambda **_: of_reference
    theirs = trainers().dpo
    monkeypatch.setitem(theirs._compute_loss.__globals__, "disable_gradient_checkpointing", lambda *_: nullcontext())
    return theirs._compute_loss(trainer, lambda **_: of_policy, inputs_of(given), return_outputs=False)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("beta", [0.1, 2.0])
def test_ld_dpo_is_trls(alpha: float, beta: float, monkeypatch: pytest.MonkeyPatch) -> None:
    given = GivenTokens(11)
    assert (given.lengths[:, 0] != given.lengths[:, 1]).any()
    ours, theirs = given.read("ld_dpo", beta, alpha=alpha), of_trl(given, beta, monkeypatch, ld_alpha=alpha)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    (slope,), (expected,) = (torch.autograd.grad(loss, given.tokens) for loss in (ours, theirs))
    assert slope[given.there].numpy() == pytest.approx(expected[given.there].numpy(), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("beta", [0.1, 2.0])
def test_wpo_without_a_cap_is_trls(beta: float, monkeypatch: pytest.MonkeyPatch) -> None:
    given = GivenTokens(12)
    assert_equal(given, given.read("wpo", beta, cap=UNCAPPED), of_trl(given, beta, monkeypatch, use_weighting=True))


def test_the_cap_of_wpo_is_the_largest_weight() -> None:
    given = GivenTokens(12)
    mean = ((given.tokens - given.squares).sum(dim=2) / given.lengths).detach()
    weight = np.exp(mean.sum(dim=1).numpy())
    assert (weight > 1).any()
    assert (weight < 1).any()
    margin = ((given.policy - given.reference) @ torch.tensor([1.0, -1.0], dtype=torch.float64)).detach().numpy()
    expected = (np.minimum(weight, 1) * np.log1p(np.exp(-0.7 * margin))).mean()
    assert given.read("wpo", 0.7, cap=1.0).item() == pytest.approx(expected, rel=1e-9)


def test_what_behind_the_shorter_response_says_counts_alpha_times() -> None:
    given = GivenTokens(13)
    shared = given.lengths.amin(dim=1)
    margins = []
    for row in range(BATCH):
        ratios = (given.tokens - given.reference_tokens)[row].detach()
        kept = [one[: shared[row]].sum() + 0.2 * one[shared[row] :].sum() for one in ratios]
        margins.append((kept[0] - kept[1]).item())
    expected = np.log1p(np.exp(-0.7 * np.array(margins))).mean()
    assert given.read("ld_dpo", 0.7, alpha=0.2).item() == pytest.approx(expected, rel=1e-9)


@pytest.fixture(scope="module")
def uneven() -> sim.World:
    """A world whose responses end early, many of them."""
    return sim.make_world(small_sweep(world=LANGUAGE))


def problem_of(world: sim.World, names: list[str], **tables: dict[str, Any]) -> TrainingProblem:
    sweep = small_sweep(sweep={"loss": names, "beta": [0.6], "seeds": 1}, world=LANGUAGE, **tables)
    return new_learner(expand(sweep), world.simulated, []).problem


def moved(world: sim.World, runs: int, scale: float = 0.1) -> Tensor:
    (reference,) = world.reference.parameters
    return reference + scale * torch.randn(runs, len(reference), generator=torch.Generator().manual_seed(2))


def plain_laws(world: sim.World, row: Tensor, problem: TrainingProblem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log pi of each token, log Σ_v pi(v)² of its law, and which tokens are there, [N, 2, T], by a plain network."""
    prompts, said = problem.prompts[0], problem.responses[0]
    tokens = torch.cat([prompts[:, None].expand(-1, 2, -1), said.clamp(min=0)], dim=2).flatten(0, 1)
    laws = plain_states(row, world.reference.architecture, tokens[:, :-1])[:, prompts.shape[1] - 1 :].log_softmax(-1)
    chosen = laws.gather(2, said.clamp(min=0).flatten(0, 1).unsqueeze(2)).view(said.shape)
    squares = laws.exp().square().sum(dim=-1).log().view(said.shape)
    return chosen.numpy(), squares.numpy(), (said >= 0).numpy()


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_the_engine_gives_losses_the_tokens_of_a_plain_network(uneven: sim.World, engine: Any) -> None:
    own = {"ld_dpo": {"alpha": 0.25}, "wpo": {"cap": 1.0}}
    problem = problem_of(uneven, ["ld_dpo", "logistic", "wpo"], objective=own)
    parameters = moved(uneven, 3)
    with computing(Computing(engine=engine)):
        loss, _ = loss_and_gradient(parameters, problem, None)
    (reference,) = uneven.reference.parameters
    shared = problem.responses[0].ge(0).sum(dim=2).amin(dim=1).numpy()[:, None, None]
    counts = np.where(np.arange(problem.responses.shape[3]) < shared, 1.0, 0.25)
    assert (counts != 1).any()

    def margin(row: Tensor, counts: Any) -> np.ndarray:
        chosen, _, there = plain_laws(uneven, row, problem)
        before, _, _ = plain_laws(uneven, reference, problem)
        kept = ((chosen - before) * there * counts).sum(axis=2)
        return kept[:, 0] - kept[:, 1]

    chosen, squares, there = plain_laws(uneven, parameters[2], problem)
    mean = ((chosen - squares) * there).sum(axis=2) / there.sum(axis=2)
    weight = np.minimum(np.exp(mean.sum(axis=1)), 1)
    losses = [
        np.log1p(np.exp(-0.6 * margin(parameters[0], counts))).mean(),
        np.log1p(np.exp(-0.6 * margin(parameters[1], 1.0))).mean(),
        (weight * np.log1p(np.exp(-0.6 * margin(parameters[2], 1.0)))).mean(),
    ]
    assert loss.numpy() == pytest.approx(np.array(losses), rel=1e-4)


def in_double(problem: TrainingProblem) -> TrainingProblem:
    assert problem.reference is not None
    return replace(
        problem,
        reference=problem.reference.double(),
        reference_log_probs=problem.reference_log_probs.double(),
        beta=problem.beta.double(),
    )


def test_gradients_agree_with_finite_differences(uneven: sim.World) -> None:
    """That of WPO with its weights held where they are."""
    problem = in_double(problem_of(uneven, ["ld_dpo", "wpo"], objective={"ld_dpo": {"alpha": 0.25}}))
    parameters = moved(uneven, 2).double()
    held = problem.tokens.alignment(
        parameters, problem.architecture, problem.packing, problem.prompts, problem.responses
    )

    def alignment(rows: Tensor, *_: Any) -> Tensor:
        return held[-len(rows) :]

    problem = replace(problem, tokens=replace(problem.tokens, alignment=alignment))
    direction = torch.randn(parameters.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    _, gradient = loss_and_gradient(parameters, problem, None)
    high, low = (loss_and_gradient(parameters + sign * 1e-6 * direction, problem, None)[0] for sign in (1, -1))
    assert (gradient * direction).sum(dim=1).numpy() == pytest.approx(((high - low) / 2e-6).numpy(), rel=1e-5)


def trained(world: sim.World, loss: str, **more: Any) -> sim.Policies:
    return sim.train(world, world.preferences(seed=0), loss=loss, beta=0.6, seed=0, steps=12, batch=15, **more)


def test_at_alpha_one_and_where_responses_are_equally_long_ld_dpo_is_the_logistic_loss(
    uneven: sim.World, lab: sim.World
) -> None:
    whole = trained(uneven, "ld_dpo", settings={"objective.ld_dpo.alpha": 1.0})
    assert torch.equal(whole.parameters, trained(uneven, "logistic").parameters)
    half = trained(uneven, "ld_dpo", settings={"objective.ld_dpo.alpha": 0.5})
    assert not torch.equal(half.parameters, whole.parameters)
    even = trained(lab, "ld_dpo", settings={"objective.ld_dpo.alpha": 0.5})
    assert torch.equal(even.parameters, trained(lab, "logistic").parameters)


@pytest.mark.parametrize("kind", ["transformer", "tabular", "linear"])
def test_the_loss_on_pairs_is_the_loss_that_is_trained(kind: str) -> None:
    tables = {"policy": {"kind": kind}, "objective": {"ld_dpo": {"alpha": 0.25}}}
    sweep = small_sweep(sweep={"loss": ["ld_dpo", "wpo"], "beta": [0.6], "seeds": 1}, world=LANGUAGE, **tables)
    runs, world = expand(sweep), sim.make_world(sweep)
    learner = new_learner(runs, world.simulated, [])
    problem, pairs = learner.problem, learner.pairs
    state = advance(start(world.simulated.policy_class.start, 2, problem), problem, 5)
    _, ratios = world.simulated.measure(state.parameters, pairs, sweep.data)
    loss, _ = loss_and_gradient(state.parameters, problem, None)
    measured, inside = losses_on_pairs(state, problem, ratios)
    assert measured.numpy() == pytest.approx(loss.numpy(), rel=1e-4)
    assert 0 < inside["wpo_weight"][1] <= 1
    assert inside["wpo_weight"][0] == 0


def test_runs_have_the_same_bits_alone_and_in_a_stack(uneven: sim.World) -> None:
    data = [uneven.preferences(seed=seed) for seed in (0, 1)]
    how: dict[str, Any] = {"beta": 0.6, "steps": 12, "batch": 15, "checkpoints": 3}
    together = sim.train(uneven, data, loss=["ld_dpo", "squared", "wpo"], seed=[0, 1], **how)
    for row, (loss, seed) in enumerate(zip(together.table["loss"], together.table["seed"], strict=True)):
        alone = sim.train(uneven, data[seed], loss=loss, seed=seed, **how)
        assert torch.equal(alone.parameters[0], together.parameters[row]), (loss, seed)


def laws_of_tokens(world: sim.World, parameters: Tensor, problem: TrainingProblem) -> np.ndarray:
    """log π(y_t) - log Σ_v π(v)² from the law of whole responses: what begins alike, added up; behind an end 0."""
    policies = world.simulated.policy_class
    laws, listed = policies.laws(parameters)[0].exp().numpy(), world.simulated.responses.numpy()
    found = np.zeros(problem.responses.shape[1:])
    for place in np.ndindex(found.shape):
        prompt, response = int(problem.prompts[0, place[0], 0]), problem.responses[0, place[0], place[1]].numpy()
        if response[place[2]] >= 0:
            alike = (listed[:, : place[2]] == response[: place[2]]).all(axis=1)
            mass = [laws[prompt, alike & (listed[:, place[2]] == token)].sum() for token in range(listed.max() + 1)]
            share = np.array(mass) / sum(mass)
            found[place] = np.log(share[response[place[2]]] / (share**2).sum())
    return found


def test_tokens_of_policies_that_tilt_laws_are_conditional() -> None:
    sweep = small_sweep(
        sweep={"loss": "wpo", "beta": [0.6], "seeds": 1}, world=LANGUAGE, policy={"kind": "tabular"}, data={"pairs": 12}
    )
    world = sim.make_world(sweep)
    problem = new_learner(expand(sweep), world.simulated, []).problem
    theta = torch.randn(1, len(world.simulated.policy_class.start), generator=torch.Generator().manual_seed(5))
    asked = problem.architecture, problem.packing, problem.prompts, problem.responses
    found = problem.tokens.alignment(theta, *asked)[0].numpy()
    assert found == pytest.approx(laws_of_tokens(world, theta, problem), abs=1e-9)


def test_ties_count_both_orders() -> None:
    """Half of a pair and half of it exchanged is the mean of the two losses."""
    given = GivenTokens(14)
    own = {"alpha": torch.tensor([[0.3]], dtype=torch.float64)}
    part = [ObjectiveSlice(objective=OBJECTIVES["ld_dpo"], rows=1, hyperparameters=own)]

    def losses(turn: Callable[[Tensor], Tensor], weights: Tensor | None = None) -> Tensor:
        read = {"token_log_probs": turn(given.tokens)[None], "token_reference": turn(given.reference_tokens)[None]}
        stacked = StackedPairs(
            policy=turn(given.policy)[None],
            reference=turn(given.reference)[None],
            lengths=turn(given.lengths)[None],
            beta=torch.tensor([[0.7]], dtype=torch.float64),
            tokens={0: read},
            weights=weights,
        )
        return pair_losses(stacked, part)

    both = losses(lambda x: x, torch.full((1, BATCH, 2), 0.5, dtype=torch.float64))
    expected = (losses(lambda x: x) + losses(lambda x: x.flip(1))) / 2
    assert both.detach().numpy() == pytest.approx(expected.detach().numpy(), rel=1e-12)


@pytest.mark.parametrize("name", ["ld_dpo", "wpo"])
def test_population_is_refused(name: str) -> None:
    sweep = small_sweep(sweep={"loss": name, "beta": [0.6]}, data={"population": True}, policy={"kind": "tabular"})
    with pytest.raises(sim.ConfigError, match=f'loss "{name}" reads single tokens'):
        expand(sweep)


def test_steps_that_read_tokens_are_not_recorded(uneven: sim.World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.engine.recorded_steps.DEVICE", "cpu")
    for name, can in (("logistic", True), ("ld_dpo", False), ("wpo", False)):
        problem = problem_of(uneven, [name])
        assert problem.reference is not None
        assert is_recordable(start(problem.reference, 1, problem), problem) is can


def test_weights_of_wpo_are_one_where_the_policy_says_all_tokens_alike() -> None:
    """π(v) = 1/V: Σ π² = 1/V, so that log π(y) - log Σ π² is 0."""
    pairs = Pairs(
        policy=torch.zeros(1, 2, 4),
        reference=torch.ones(1, 2, 4),
        lengths=torch.ones(1, 2, 4),
        beta=torch.ones(1, 1),
        hyperparameters={"cap": torch.full((1, 1), UNCAPPED)},
        count=4,
        token_alignment=torch.zeros(1, 2, 4, 1),
    )
    assert torch.equal(OBJECTIVES["wpo"].loss(pairs), sim.LOSSES["logistic"](pairs.z))
