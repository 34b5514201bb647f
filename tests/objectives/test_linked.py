"""Losses of differences of links: against the optimum that they learn, χPO, finite differences, and what is refused."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import expit

import simulator as sim
from simulator.divergences import DIVERGENCES, divergence_of
from simulator.divergences.optimum import optimum
from simulator.objectives import OBJECTIVES
from simulator.objectives.linked import check_link, linked
from simulator.objectives.objective import Hyperparameters
from simulator.objectives.stacked_losses import ObjectiveSlice, StackedPairs, pair_losses

OTHERS = [name for name in DIVERGENCES if name != "kl"]
others = pytest.mark.parametrize("divergence", OTHERS)


def losses(
    loss: str,
    divergence: str,
    ratios: torch.Tensor,
    beta: float,
    own: Hyperparameters | None = None,
    scores: torch.Tensor | None = None,
) -> torch.Tensor:
    """The loss [R, B] of pairs with log-ratios [R, B, K]."""
    part = ObjectiveSlice(
        objective=linked(OBJECTIVES[loss], divergence_of(divergence, 0.5)),
        rows=len(ratios),
        hyperparameters={name: torch.full((len(ratios), 1), value).double() for name, value in (own or {}).items()},
    )
    nothing = torch.zeros_like(ratios)
    scale = torch.full((len(ratios), 1), beta, dtype=ratios.dtype)
    given = StackedPairs(policy=ratios, reference=nothing, lengths=nothing + 1, beta=scale, scores=scores)
    return pair_losses(given, [part])


@others
@pytest.mark.parametrize(
    ("loss", "share"), [("logistic", lambda gap: gap), ("squared", lambda gap: np.tanh(gap / 2))], ids=["dpo", "ipo"]
)
def test_labels_of_everyone_lead_to_the_optimum_under_the_divergence(divergence: str, loss: str, share: object) -> None:
    """Two responses: the policy with the least expected loss is the best for the reward that the loss reads off."""
    reference, beta = np.array([0.35, 0.65]), 0.8
    for gap in (-0.5, 0.9):
        wins = float(expit(gap))

        def expected(logit: float, wins: float = wins) -> float:
            p = expit(np.array([logit, -logit]))
            ratios = torch.from_numpy(np.log(p / reference)).view(1, 1, 2)
            chosen, turned = losses(loss, divergence, ratios, beta), losses(loss, divergence, ratios.flip(-1), beta)
            return float(wins * chosen + (1 - wins) * turned)

        least = minimize_scalar(expected, bounds=(-8, 8), method="bounded", options={"xatol": 1e-9})
        assert callable(share)
        reward = torch.tensor([[share(gap), 0.0]], dtype=torch.float64)
        known = torch.from_numpy(np.log(reference))[None]
        best = optimum(divergence_of(divergence, 0.5), known, reward, torch.tensor([beta], dtype=torch.float64)).exp()[
            0, 0, 0
        ]
        assert expit(least.x) == pytest.approx(float(best), abs=1e-5)


def test_the_logistic_loss_of_chi2_kl_is_chi_po_where_nothing_is_clipped() -> None:
    ratios = torch.linspace(-6, 3, 40, dtype=torch.float64).view(2, 10, 2).requires_grad_()
    ours = losses("logistic", "chi2_kl", ratios, 0.3)
    theirs = losses("chi_po", "kl", ratios, 0.3, {"bound": 1e3})
    slopes = [torch.autograd.grad(each.sum(), ratios)[0] for each in (ours, theirs)]
    assert ours.detach().numpy() == pytest.approx(theirs.detach().numpy(), rel=1e-12)
    assert slopes[0].numpy() == pytest.approx(slopes[1].numpy(), rel=1e-9)


@others
@pytest.mark.parametrize("loss", ["exponential", "rpo_backward", "rpo_loo"])
def test_gradients_are_those_of_finite_differences(divergence: str, loss: str) -> None:
    ratios = torch.linspace(-1.5, 1.2, 12, dtype=torch.float64).sin().view(2, 3, 2).requires_grad_()
    own = {"eta": 0.7} if loss.startswith("rpo") else None
    scores = torch.linspace(-1, 1, 12, dtype=torch.float64).cos().view(2, 3, 2)
    assert torch.autograd.gradcheck(lambda given: losses(loss, divergence, given, 0.6, own, scores), ratios)


def test_k_responses_do_not_feel_the_constant_of_a_prompt(rng: np.random.Generator) -> None:
    """rpo_loo is 0 at the optimum for its rewards at any number of responses."""
    reference, reward = rng.dirichlet(np.ones(5)), rng.normal(size=5)
    for divergence in ("forward_kl", "jensen_shannon", "chi2_kl"):
        known = torch.from_numpy(np.log(reference))
        best = optimum(
            DIVERGENCES[divergence],
            known[None],
            torch.from_numpy(reward)[None],
            torch.tensor([0.4], dtype=torch.float64),
        )
        ratios, scores = (best[0, 0] - known).view(1, 1, 5), torch.from_numpy(reward).view(1, 1, 5)
        assert float(losses("rpo_loo", divergence, ratios, 0.4, {"eta": 1.0}, scores)) == pytest.approx(0, abs=1e-20)
        moved = ratios + torch.arange(5) / 5
        assert float(losses("rpo_loo", divergence, moved, 0.4, {"eta": 1.0}, scores)) > 1e-3


def test_kl_is_the_objective_itself() -> None:
    """So that what computes GPO's six in whole steps knows them."""
    for objective in OBJECTIVES.values():
        assert linked(objective, DIVERGENCES["kl"]) is objective


def test_what_looks_at_more_than_a_difference_is_refused() -> None:
    able = {name for name, objective in OBJECTIVES.items() if objective.takes_links}
    assert able == {
        *("logistic", "hinge", "squared", "exponential", "truncated_quadratic", "savage"),
        *("conservative_dpo", "robust_dpo", "exo_pair", "discopop"),
        *("rpo_squared", "rpo_backward", "rpo_forward", "rpo_loo"),
    }
    for name, objective in OBJECTIVES.items():
        check_link(objective, "kl")
        if name in able:
            check_link(objective, "chi2")
            continue
        with pytest.raises(ValueError, match=f'loss "{name}" cannot have train.divergence = "chi2": it '):
            check_link(objective, "chi2")


def test_a_policy_is_the_same_alone_and_in_a_stack_and_differs_from_that_of_kl(lab: sim.World) -> None:
    pairs = lab.preferences(32, seed=0)
    given = {"steps": 6, "checkpoints": 2, "seed": 0}
    given |= {"divergence": "forward_kl"}
    stack = sim.train(lab, pairs, loss=["logistic", "squared"], beta=[0.1, 1.0], **given)
    alone = sim.train(lab, pairs, loss="squared", beta=0.1, **given)
    usual = sim.train(lab, pairs, loss="squared", beta=0.1, **(given | {"divergence": "kl"}))
    assert torch.equal(stack.parameters[2], alone.parameters[0])
    assert not torch.equal(alone.parameters, usual.parameters)
    assert set(alone.curves["run_id"]).isdisjoint(usual.curves["run_id"])


def test_a_loss_of_ones_own_takes_links_where_it_is_a_function_of_z(lab: sim.World) -> None:
    pairs = lab.preferences(16, seed=0)
    given = {"beta": 0.3, "steps": 2, "checkpoints": 2, "divergence": "chi2_kl"}
    mine = sim.train(lab, pairs, loss=lambda z: (z - 1).square(), **given)
    assert torch.equal(mine.parameters, sim.train(lab, pairs, loss="squared", **given).parameters)
    with pytest.raises(sim.ConfigError, match=r'cannot have train.divergence = "chi2_kl"'):
        sim.train(lab, pairs, loss=lambda chosen, beta: -beta * chosen, **given)
