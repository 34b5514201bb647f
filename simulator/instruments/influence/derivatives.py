"""First and second derivatives at a trained policy, of the loss of each pair, of gold, and of the loss of other pairs.

The loss is (1/N) Σ w_i f(β ρ_i(θ)), w_i = 1. With J the Jacobian of margins ρ, [N, D],

    g_i = β f'(β ρ_i) J_i,    H = (1/N) Σ β² f''(β ρ_i) J_i J_iᵀ + λ.

H is the Hessian of a linear policy, whose margins are linear in θ. For a network it is that of Gauss and Newton, which
leaves out f' times the curvature of ρ. λ is `DAMPING` times the mean of the diagonal of H without it (Grosse et al.
2023, arXiv:2308.03296, Section 2.1). Where H is 0, as for a loss of straight lines, λ is 1.

The derivative of the optimum by the weight of a pair is -(1/N) H⁻¹ g_i (Koh & Liang 2017, arXiv:1703.04730, eq. 1).

Shapes: N pairs, D parameters, P prompts, G responses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from simulator.instruments.regret.optimum import derivatives
from simulator.networks.packing import packing
from simulator.preferences.pairs import Preferences
from simulator.settings.run import Run, hyperparameters_of, objective_of
from simulator.worlds.protocol import ListedWorld

DAMPING = 0.1
AT_ONCE = 128  # pairs whose margins are differentiated together


@dataclass(frozen=True, kw_only=True)
class Slopes:
    """At one policy: margins [N], nats; gradients g [N, D] of the loss of each pair; and `roots` [N, D], with
    H - λ = rootsᵀ roots. All float64.
    """

    margins: Tensor
    gradients: Tensor
    roots: Tensor


def loss_of(run: Run) -> Callable[[Tensor], Tensor]:
    """f as a function of z alone."""
    objective = objective_of(run)
    assert objective.f is not None
    return partial(objective.f, **hyperparameters_of(run))


def slopes(run: Run, world: ListedWorld, pairs: Preferences, parameters: Tensor) -> Slopes:
    """Those of the pairs [N, …] at the policy with `parameters` [D]."""
    assert run.beta is not None
    margins, jacobian = margins_and_jacobian(world, pairs, parameters)
    _, first, second = derivatives(loss_of(run), run.beta * margins)
    weight = (run.beta**2 * second.clamp(min=0) / len(margins)).sqrt()
    return Slopes(
        margins=margins,
        gradients=(run.beta * first)[:, None] * jacobian,
        roots=weight[:, None] * jacobian,
    )


def margins_and_jacobian(world: ListedWorld, pairs: Preferences, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """ρ [N], nats, and its Jacobian [N, D]: each pair is given a copy of the policy of its own."""
    policies, margins, rows = world.policy_class, [], []
    packed = packing(
        prompt_length=world.prompts.shape[1],
        response_length=pairs.responses.shape[2],
        responses=2,
        device=parameters.device,
    )
    for first in range(0, len(pairs.prompt), AT_ONCE):
        some = pairs.at(torch.arange(first, min(first + AT_ONCE, len(pairs.prompt))))
        copies = parameters.detach().expand(len(some.prompt), -1).clone().requires_grad_()
        asked = policies.asked(some.prompt[:, None])
        with torch.enable_grad():
            said = policies.value(copies, world.architecture, packed, asked, some.responses[:, None])[:, 0]
            ratio = said.double() - some.reference
            margin = ratio[:, 0] - ratio[:, 1]
            (slope,) = torch.autograd.grad(margin.sum(), copies)
        margins.append(margin.detach())
        rows.append(slope.double())
    return torch.cat(margins), torch.cat(rows)


def gold_gradient(world: ListedWorld, parameters: Tensor) -> Tensor:
    """The gradient of gold, as a mean over prompts, float64 [D]."""
    leaf = parameters.detach().clone().requires_grad_()
    gold = torch.from_numpy(world.listing.gold)
    with torch.enable_grad():
        value = (world.policy_class.laws(leaf[None])[0].exp() * gold).sum(dim=-1).mean()
        (found,) = torch.autograd.grad(value, leaf)
    return found.double()


def damping_of(roots: Tensor, share: float = DAMPING) -> float:
    """λ, from the roots [N, D] of the undamped H; the diagonal is of the parameters that margins depend on."""
    diagonal = roots.square().sum(dim=0)
    used = diagonal > 0
    return share * float(diagonal[used].mean()) if bool(used.any()) else 1.0


def solved(roots: Tensor, damping: float, vector: Tensor) -> Tensor:
    """H⁻¹ vector, [D], for H = rootsᵀ roots + damping; by the smaller of the two Gram matrices."""
    rows, columns = roots.shape
    if rows < columns and damping > 0:
        gram = roots @ roots.T + damping * torch.eye(rows, dtype=roots.dtype)
        return (vector - roots.T @ torch.linalg.solve(gram, roots @ vector)) / damping
    whole = roots.T @ roots + damping * torch.eye(columns, dtype=roots.dtype)
    return torch.linalg.solve(whole, vector)


def influence(slope: Slopes, of: Tensor, damping: float) -> Tensor:
    """By how much a quantity with gradient `of` [D] falls when each pair is left out, [N], to first order.

    Its weight goes from 1 to 0, so θ moves by (1/N) H⁻¹ g_i, and the quantity falls by -(1/N) ofᵀ H⁻¹ g_i.
    """
    return -(slope.gradients @ solved(slope.roots, damping, of)) / len(slope.margins)
