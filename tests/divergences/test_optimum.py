"""The best policy under each divergence, against a generic solver, and by the conditions of an optimum."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, minimize
from scipy.special import log_softmax, wrightomega

from simulator.divergences import DIVERGENCES, Divergence
from simulator.divergences.optimum import RootError, optimum
from simulator.measurement.gibbs import gibbs
from tests.divergences.test_divergences import alpha_of, every

Array = np.ndarray
FLOOR = 1e-12  # of probabilities that a solver tries
VALUES: dict[str, Callable[[Array, Array], complex]] = {  # D(p ‖ q) without f; p may be complex
    "kl": lambda p, q: (p * np.log(p / q)).sum(),
    "forward_kl": lambda p, q: (q * np.log(q / p)).sum(),
    "chi2": lambda p, q: ((p - q) ** 2 / q).sum() / 2,
    "chi2_kl": lambda p, q: ((p - q) ** 2 / q + 2 * p * np.log(p / q)).sum() / 2,
    "jensen_shannon": lambda p, q: (p * np.log(2 * p / (p + q)) + q * np.log(2 * q / (p + q))).sum(),
}


def value_of(divergence: Divergence, p: Array, q: Array) -> complex:
    """D(p ‖ q) without our code."""
    if divergence.name != "alpha":
        return VALUES[divergence.name](p, q)
    alpha = alpha_of(divergence)
    return (1 - (p ** (1 - alpha) * q**alpha).sum()) / (alpha * (1 - alpha))


def solved(divergence: Divergence, reference: Array, reward: Array, tau: float) -> Array:
    """The optimum by sequential quadratic programming on the simplex; slopes by complex steps, exact to rounding."""

    def cost(p: Array) -> complex:
        return -(p @ reward) + tau * value_of(divergence, p, reference)

    found = minimize(
        lambda p: cost(p).real,
        reference,
        jac=lambda p: np.array([cost(p + step).imag * 1e30 for step in 1e-30j * np.eye(len(p))]),
        method="SLSQP",
        bounds=[(FLOOR, 1)] * len(reference),
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        options={"ftol": 1e-16, "maxiter": 500},
    )
    return np.asarray(found.x)


@every
def test_it_is_what_a_convex_solver_finds(divergence: Divergence, rng: np.random.Generator) -> None:
    tau = 0.3
    reference, reward = rng.dirichlet(np.ones(6), size=2), rng.normal(size=(2, 6))
    laws = optimum(
        divergence, *map(torch.from_numpy, (np.log(reference), reward)), torch.tensor([tau], dtype=torch.float64)
    ).exp()[0]
    for ours, q, r in zip(laws.numpy(), reference, reward, strict=True):
        assert ours == pytest.approx(solved(divergence, q, r, tau), abs=1e-6)
        assert ours.sum() == pytest.approx(1, abs=1e-13)


@every
def test_no_reward_less_the_price_of_its_response_is_above_another(
    divergence: Divergence, rng: np.random.Generator
) -> None:
    """r - τ φ(u) is one number where a response is given, and less where none is; from far rewards to near ones."""
    reference, reward = log_softmax(6 * rng.normal(size=(3, 400)), axis=1), rng.standard_t(2, size=(3, 400))
    tau = torch.tensor([100.0, 3.0, 0.1, 1e-3, 1e-6], dtype=torch.float64)
    found = optimum(divergence, torch.from_numpy(reference), torch.from_numpy(reward), tau)
    assert found.exp().sum(dim=-1).numpy() == pytest.approx(np.ones((5, 3)), abs=1e-12)
    for strength, laws in zip(tau.tolist(), found, strict=True):
        ratio = laws - torch.from_numpy(reference)
        given = laws > -700
        price = -strength * divergence.depth(ratio)
        left = torch.from_numpy(reward) - price
        over = left - left.gather(1, laws.argmax(dim=1, keepdim=True))
        scale = 1 + torch.from_numpy(reward).abs() + price.abs()
        assert (over / scale).abs()[given].max() < 1e-9
        assert (over / scale)[~given].clamp(min=0).sum() < 1e-9 or not divergence.reaches_zero


def test_kl_is_the_gibbs_policy(rng: np.random.Generator) -> None:
    reference, reward = log_softmax(3 * rng.normal(size=(2, 90)), axis=1), rng.normal(size=(2, 90))
    given = *map(torch.from_numpy, (reference, reward)), torch.tensor([30.0, 1.0, 0.02], dtype=torch.float64)
    assert optimum(DIVERGENCES["kl"], *given).numpy() == pytest.approx(gibbs(*given).numpy(), abs=1e-9)


@every
def test_equal_rewards_leave_the_reference(divergence: Divergence) -> None:
    reference = torch.tensor([[0.7, 0.2, 0.1], [1e-9, 0.5, 0.5 - 1e-9]], dtype=torch.float64).log()
    law = optimum(divergence, reference, torch.full((2, 3), 4.0), torch.tensor([1e-3]))
    assert law[0].numpy() == pytest.approx(reference.numpy(), abs=1e-12)


def test_only_chi2_drops_responses(rng: np.random.Generator) -> None:
    reference, reward = log_softmax(rng.normal(size=(1, 50))), rng.normal(size=(1, 50))
    for name, divergence in DIVERGENCES.items():
        law = optimum(divergence, *map(torch.from_numpy, (reference, reward)), torch.tensor([0.2]))
        assert bool((law == -torch.inf).any()) == divergence.reaches_zero == (name == "chi2")


def test_prompts_are_solved_alike_alone_and_among_many(rng: np.random.Generator) -> None:
    reference, reward = log_softmax(rng.normal(size=(40, 700)), axis=1), rng.normal(size=(40, 700))
    given = torch.from_numpy(reference), torch.from_numpy(reward)
    many = optimum(DIVERGENCES["chi2_kl"], *given, torch.tensor([0.5, 0.1]))
    one = optimum(DIVERGENCES["chi2_kl"], given[0][31:32], given[1][31:32], torch.tensor([0.1]))
    assert torch.equal(many[1, 31], one[0, 0])


@pytest.mark.parametrize(
    ("law", "gap"),
    [
        ([0.00100056, 0.02379882], [966.6875378, 3826.65475881]),
        ([0.00098352, 0.03707701], [992.03597895, 1645.32035145]),
        ([0.00249371, 0.0253531], [361.67159143, 1147.75939536]),
    ],
)
def test_rewards_between_which_newton_s_method_goes_to_and_fro_have_their_law(
    law: list[float], gap: list[float]
) -> None:
    """The second response comes in close to the root, so that the slopes on its two sides have little in common."""
    reference, reward = np.array([*law, 1 - sum(law)]), -np.array([0.0, *gap])
    at = brentq(lambda x: reference @ wrightomega(1 - x + reward) - 1, -1e4, 1, xtol=1e-12)
    found = optimum(
        DIVERGENCES["chi2_kl"], torch.from_numpy(np.log(reference))[None], torch.from_numpy(reward)[None], torch.ones(1)
    )
    np.testing.assert_allclose(found[0, 0].exp(), reference * wrightomega(1 - at + reward), rtol=1e-8, atol=1e-300)


def test_a_prompt_without_numbers_has_no_law_and_others_keep_theirs() -> None:
    reference = torch.full((2, 3), 1 / 3, dtype=torch.float64).log()
    reward = torch.tensor([[0.0, torch.nan, 1.0], [0.0, 0.5, 1.0]])
    law = optimum(DIVERGENCES["chi2"], reference, reward, torch.ones(1))[0]
    assert law[0].isnan().all()
    assert float(law[1].exp().sum()) == pytest.approx(1)


def test_a_law_whose_mass_cannot_be_one_is_refused() -> None:
    broken = replace(DIVERGENCES["chi2"], log_ratio=lambda q: 0 * q - 1)
    with pytest.raises(RootError, match=r"mass 1 within 0.6, not 1e-09"):
        optimum(broken, torch.zeros(1, 1), torch.zeros(1, 1), torch.ones(1))
