"""Population data against enumeration, drawn pairs, the closed form of each loss, and generic convex solvers."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize
from scipy.special import expit, log_expit

import simulator as sim
from simulator.preferences.draw import draw_labelled
from simulator.settings.data_table import population_pairs
from simulator.worlds.policy_classes.tilted import Tilted
from tests.helpers.tilted_worlds import differences, every_response, gold_table, laws, tilted_world

POPULATION = {"data__population": True, "world__response_length": 1}
FAR: dict[str, Any] = {"steps": 500, "learning_rate": 0.5}
NEAR: dict[str, Any] = {"steps": 400, "learning_rate": 0.01}


def both_sides(world: sim.World) -> tuple[np.ndarray, np.ndarray]:
    """The laws of the two responses of a pair, [P, G] each."""
    sides: tuple[np.ndarray, np.ndarray] = world.simulated.side_distributions(  # type: ignore[attr-defined]
        world.settings.data
    )
    return sides


def expectation(world: sim.World, loss: np.ndarray, preference: np.ndarray, distinct: bool) -> float:
    """The mean of loss [P, G, G] of (chosen, rejected) over draws of two responses and a label, one by one."""
    sides, total = both_sides(world), 0.0
    for prompt, (one, other) in enumerate(zip(*sides, strict=True)):
        mass, here = 0.0, 0.0
        for first, second in itertools.product(range(len(one)), repeat=2):
            if distinct and first == second:
                continue
            weight, p = one[first] * other[second], preference[prompt, first, second]
            mass += weight
            here += weight * (p * loss[prompt, first, second] + (1 - p) * loss[prompt, second, first])
        total += here / mass / len(sides[0])
    return total


@pytest.mark.parametrize(
    ("data", "preferred"),
    [
        ({}, lambda gap: expit(gap)),
        ({"temperature": 0.5, "label_noise": 0.2}, lambda gap: 0.2 + 0.6 * expit(2 * gap)),
        ({"labels": "deterministic", "distinct": True}, lambda gap: (np.sign(gap) + 1) / 2),
        ({"behaviour": "mixture", "distinct": True}, lambda gap: expit(gap)),
        ({"behaviour": "best_of_n", "one_from_reference": True}, lambda gap: expit(gap)),
        (
            {"labels": "ties", "tie_strength": 1.5},  # Davidson's; a tie counts half in each order
            lambda gap: (np.exp(gap / 2) + 0.75) / (2 * np.cosh(gap / 2) + 1.5),
        ),
    ],
)
def test_weights_give_the_expectation_of_any_loss(
    data: dict[str, Any], preferred: Any, rng: np.random.Generator
) -> None:
    changes = {f"data__{name}": value for name, value in data.items()}
    world = tilted_world("tabular", data__population=True, **changes)
    preference = preferred(differences(gold_table(world)))
    loss = rng.normal(size=preference.shape)
    pairs = draw_labelled(world.simulated, world.settings.data, 0)
    number = (pairs.responses @ torch.tensor([3, 1])).numpy()
    prompt, (first, second) = pairs.prompt.numpy(), number.T
    assert pairs.weights is not None
    stands, exchanged = pairs.weights.numpy().T
    found = (stands * loss[prompt, first, second] + exchanged * loss[prompt, second, first]).mean()
    assert found == pytest.approx(expectation(world, loss, preference, "distinct" in data))
    assert len(prompt) == population_pairs(world.settings)


def test_shares_of_drawn_pairs_come_near_the_weights() -> None:
    world = tilted_world("tabular", data__pairs=40_000)
    drawn = draw_labelled(world.simulated, world.settings.data, 0)
    whole = draw_labelled(world.simulated, world.settings.data.model_copy(update={"population": True}), 0)
    assert whole.weights is not None
    shares = []
    for pairs, weights in ((drawn, np.array([[1.0, 0.0]] * 40_000)), (whole, whole.weights.numpy())):
        number = (pairs.responses @ torch.tensor([3, 1])).numpy()
        table = np.zeros((2, 9, 9))
        for order in (0, 1):
            np.add.at(table, (pairs.prompt.numpy(), number[:, order], number[:, 1 - order]), weights[:, order])
        shares.append(table / table.sum())
    drawn_share, share = shares
    equal = np.eye(9, dtype=bool)[None] & np.ones((2, 1, 1), dtype=bool)
    error = 5 * np.sqrt(share * (1 - share) / 40_000) + 1e-5
    assert (np.abs(drawn_share - share) < error)[~equal].all()
    assert drawn_share[equal].sum() == pytest.approx(share[equal].sum(), abs=0.02)


def test_every_loss_meets_its_closed_form() -> None:
    """Tang et al. 2024, arXiv:2402.05749: what beta rho is at the optimum under Bradley-Terry labels, at a temperature.

    That of the squared loss: the derivative by s(y) of the mean of p (z - 1)^2 + (1 - p) (z + 1)^2, z = beta (s(y) -
    s(y')), is 0 where beta (s(y) - E_mu s) = E_mu [2 p(y over y') - 1].
    """
    world = tilted_world("tabular", **POPULATION, data__behaviour="uniform", data__temperature=2.0)
    names, betas = ["logistic", "savage", "exponential", "squared"], [1.0, 0.7]
    policies = sim.train(world, world.preferences(), loss=names, beta=betas, seed=0, steps=300, learning_rate=0.2)
    gap, mu = differences(gold_table(world)) / 2, both_sides(world)[0]
    edge = (mu[:, None, :] * (2 * expit(gap) - 1)).sum(axis=-1)
    wanted = {"logistic": gap, "savage": gap, "exponential": gap / 2, "squared": differences(edge)}
    ratios = laws(world, policies) - laws(world, world.reference)
    for (name, beta), ratio in zip(itertools.product(names, betas), ratios, strict=True):
        assert differences(beta * ratio) == pytest.approx(wanted[name], abs=1e-4), (name, beta)


def test_losses_that_are_flat_meet_theirs_where_there_are_two_responses() -> None:
    """Hinge: sign; truncated quadratic: tanh of half the gap."""
    world = tilted_world("tabular", **POPULATION, world__vocabulary=2, world__language__topics=2)
    names = ["hinge", "truncated_quadratic"]
    policies = sim.train(world, world.preferences(), loss=names, beta=1.0, seed=0, **NEAR)
    gap = differences(gold_table(world))
    found = differences(laws(world, policies) - laws(world, world.reference))
    assert found[0] == pytest.approx(np.sign(gap), abs=1e-4)
    assert found[1] == pytest.approx(np.tanh(gap / 2), abs=1e-4)


def pair_terms(world: sim.World) -> tuple[np.ndarray, np.ndarray]:
    """Weights of all ordered pairs (chosen, rejected), [P, G, G], and log-ratios' directions are their differences."""
    mu = both_sides(world)[0]
    p = expit(differences(gold_table(world)))
    weight = 2 * mu[:, :, None] * mu[:, None, :] * p / len(mu)
    for one in weight:
        np.fill_diagonal(one, one.diagonal() / 2)
    return weight, p


def losses_of(world: sim.World, policies: sim.Policies, beta: float, f: Any) -> list[float]:
    """The mean loss of each policy over all pairs."""
    weight, _ = pair_terms(world)
    mean = weight / weight.sum()
    ratios = laws(world, policies) - laws(world, world.reference)
    return [float((mean * f(differences(beta * ratio))).sum()) for ratio in ratios]


@pytest.mark.slow
def test_flat_losses_are_as_small_as_a_convex_solver_finds() -> None:
    """Hinge by linear programming over scores and slacks; the truncated quadratic by L-BFGS."""
    world = tilted_world("tabular", **POPULATION, data__behaviour="uniform")
    names = ["hinge", "truncated_quadratic"]
    policies = sim.train(world, world.preferences(), loss=names, beta=0.5, seed=0, **FAR)
    weight, _ = pair_terms(world)
    mean, (prompts, count) = weight / weight.sum(), weight.shape[:2]
    places = list(itertools.product(range(prompts), range(count), range(count)))
    margins = np.zeros((len(places), prompts * count))
    for place, (prompt, first, second) in enumerate(places):
        margins[place, prompt * count + first] += 1
        margins[place, prompt * count + second] -= 1
    costs = np.concatenate([np.zeros(prompts * count), mean.ravel()])
    program = linprog(
        costs,
        A_ub=-np.hstack([margins, np.eye(len(places))]),
        b_ub=-np.ones(len(places)),
        bounds=[(None, None)] * (prompts * count) + [(0, None)] * len(places),
    )

    def truncated(z: np.ndarray) -> np.ndarray:
        return np.maximum(0, 1 - z) ** 2

    smooth = minimize(lambda s: (mean.ravel() * truncated(margins @ s)).sum(), np.zeros(prompts * count), tol=1e-12)
    hinge = losses_of(world, policies, 0.5, lambda z: np.maximum(0, 1 - z))[0]
    assert hinge == pytest.approx(program.fun, abs=1e-4)
    assert losses_of(world, policies, 0.5, truncated)[1] == pytest.approx(smooth.fun, abs=1e-5)
    assert program.fun < 0.9 * (mean * 1.0).sum()  # or else staying at the reference would do


@pytest.mark.slow("tokens", "positions")
@pytest.mark.parametrize("features", ["tokens", "positions", "bigrams"])
def test_a_linear_policy_is_where_a_convex_solver_ends(features: str) -> None:
    world = tilted_world("linear", data__population=True, data__behaviour="uniform", policy__features=features)
    policies = sim.train(world, world.preferences(), loss="logistic", beta=0.5, seed=0, steps=300, learning_rate=0.3)
    table = world.simulated.policy_class
    assert isinstance(table, Tilted)
    assert table.features is not None
    phi = table.features.numpy()
    weight, _ = pair_terms(world)
    along = phi[:, :, None, :] - phi[:, None, :, :]

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        z = 0.5 * along @ theta
        return -(weight * log_expit(z)).sum(), -0.5 * np.tensordot(weight * expit(-z), along, axes=3)

    best = minimize(loss, np.zeros(phi.shape[2]), jac=True, tol=1e-12, method="L-BFGS-B", options={"ftol": 1e-15})
    wanted = laws(world, world.reference)[0] + phi @ best.x
    wanted -= np.log(np.exp(wanted).sum(axis=1, keepdims=True))
    assert np.exp(laws(world, policies)[0]) == pytest.approx(np.exp(wanted), abs=1e-4)
    assert differences(laws(world, policies)[0]) == pytest.approx(differences(wanted), abs=1e-3)


def rare_disaster(prompts: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """One token of 1 is a little good, and two are a disaster."""
    value: np.ndarray = np.array([0.0, 1.0, -12.0])[responses.sum(axis=1)]
    return value


def test_a_class_that_cannot_hold_the_reward_ends_below_its_start() -> None:
    """Gopalan et al. 2025, arXiv:2510.20413: DPO in a log-linear class, with exact data and no error of optimization.

    The class has one direction, how often a token comes. That a token is better once than never is seen often; that it
    is far worse twice is seen seldom, and a sure label counts the same however large the gap of gold. So DPO moves
    towards the token, and gold falls below the reference, where the best of the class is above it. A tabular policy
    with the same data gains.
    """
    sizes = {"world__vocabulary": 2, "world__prompts": 1, "world__prompt_length": 1}
    rest = {"gold__fluency": 0.0, "policy__features": "tokens", "data__population": True, "data__temperature": 0.05}
    ends = {}
    for kind in ("linear", "tabular"):
        world = tilted_world(kind, rare_disaster, **sizes, **rest)
        policies = sim.train(world, world.preferences(), beta=1.0, seed=0, steps=100, learning_rate=0.3)
        ends[kind] = world.measure(policies)["gold"][0]
        if kind == "linear":
            reference, gold = laws(world, world.reference)[0], gold_table(world)
            count = every_response(world).sum(dim=-1).numpy()
            tilts = [reference + theta * count for theta in np.linspace(-5, 5, 101)]
            laws_there = [np.exp(tilt - np.log(np.exp(tilt).sum())) for tilt in tilts]
            best = max(float((law * gold).sum()) for law in laws_there)
    assert ends["linear"] < -0.1 < 0.1 < best
    assert ends["tabular"] > 0.1
