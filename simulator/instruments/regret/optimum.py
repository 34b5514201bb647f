"""What a loss comes to with labels without end and a policy that can be anything: its population optimum.

With labels by a score u (of gold, or of what one believes of it), the loss of a policy with margins ρ is at each prompt

    Σ_{y, y'} μ(y) μ(y') [ p(y ≻ y') f(β ρ) + p(y' ≻ y) f(-β ρ) ],   ρ = s(y) - s(y'),

and s is free but for a constant, which normalization sets. So t = β s does not depend on β, and t is a function of u
alone where labels are. It is found on levels of u, each with the mass of the responses near it, by Newton's method, and
is linear between levels. Where f has a kink and no curvature (hinge), f is averaged over a normal of a small deviation;
derivatives then follow from Stein's identity, E f''(z + hX) = E X f'(z + hX) / h.

The link of each loss is known for a single pair (`analysis/theory`), and t is not always that: where the links of all
pairs are no differences of one t, the loss has to give something away. Shapes: P prompts, G responses, K levels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gold_rewards import Judged, LabelRule, outcome_probabilities

Array = np.ndarray
Loss = Callable[[Tensor], Tensor]

LEVELS, STEPS = 160, 200
CLOSE, PATIENCE, LONGEST = 1e-9, 12, 2.0  # of a step of Newton's method, and how many may fail in a row
LEAST_GAIN = 1e-11  # of a step that counts, as a share of the loss
FLAT = 300.0  # a span of t beyond which a loss falls without end
DEVIATION = 0.05
GRID = 0.002
LEAST = 1e-9


class FlatError(ArithmeticError):
    """The loss of all pairs has no minimum."""


@dataclass(frozen=True, kw_only=True)
class Levels:
    """level [P, K]: of u, rising; mass [2, P, K]: of each side of a pair; place [P, G] and share [P, G]: a response
    lies between levels `place` and `place` + 1, at this share of the way.
    """

    level: Array
    mass: Array
    place: Array
    share: Array


def levels_of(u: Array, sides: tuple[Array, Array], count: int = LEVELS) -> Levels:
    """Even levels over all values of u [P, G], with the masses [P, G] of two sides split between neighbours."""
    low, high = u.min(axis=1, keepdims=True), u.max(axis=1, keepdims=True)
    step = np.maximum((high - low) / (count - 1), 1e-300)
    at = (u - low) / step
    place = np.clip(np.floor(at).astype(np.int64), 0, count - 2)
    share = at - place
    mass = np.zeros((2, len(u), count))
    for side, law in enumerate(sides):
        for row in range(len(u)):
            mass[side, row] += np.bincount(place[row], law[row] * (1 - share[row]), minlength=count)
            mass[side, row] += np.bincount(place[row] + 1, law[row] * share[row], minlength=count)
    return Levels(level=low + step * np.arange(count), mass=mass, place=place, share=share)


def chosen_mass(levels: Levels, rule: LabelRule) -> Array:
    """The probability that a pair comes and that level i is chosen before level j, [P, K, K]."""
    first, second = Judged(gold=levels.level[:, :, None]), Judged(gold=levels.level[:, None, :])
    chosen, tied = outcome_probabilities(first, second, rule)
    one, other = levels.mass + LEAST / levels.mass.shape[-1]  # a level of no mass then has its value, too
    both = one[:, :, None] * other[:, None, :]
    return (both + both.transpose(0, 2, 1)) * (chosen + tied / 2)


def derivatives(f: Loss, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """f, f' and f'' at z, each of its shape; averaged over a small normal where f'' is 0 wherever it is defined."""
    with torch.enable_grad():
        at = z.detach().requires_grad_(True)
        value = f(at)
        (first,) = torch.autograd.grad(value.sum(), at, create_graph=True)
        second = torch.zeros_like(z)
        if first.requires_grad:
            (second,) = torch.autograd.grad(first.sum(), at)
    if bool((second != 0).any()):
        return value.detach(), first.detach(), second.detach()
    return averaged(f, z)


def averaged(f: Loss, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """E f(z + hX) and its first two derivatives, X standard normal, h = `DEVIATION`: tabulated, and linear between."""
    reach = float(z.abs().max()) + 8 * DEVIATION
    grid = torch.arange(-reach, reach + GRID, GRID, dtype=torch.float64)
    with torch.enable_grad():
        at = grid.clone().requires_grad_(True)
        value = f(at)
        (slope,) = torch.autograd.grad(value.sum(), at)
    offset = np.arange(-8 * DEVIATION, 8 * DEVIATION + GRID / 2, GRID)
    normal = np.exp(-0.5 * (offset / DEVIATION) ** 2)
    normal /= normal.sum()
    kernels = normal, normal, -offset / DEVIATION**2 * normal
    sources = value.detach().numpy(), slope.numpy(), slope.numpy()
    inside = slice(len(offset) // 2, len(grid) - len(offset) // 2)
    points = z.numpy()
    value, first, second = (
        torch.from_numpy(np.interp(points, grid.numpy()[inside], np.convolve(source, kernel, mode="valid")))
        for source, kernel in zip(sources, kernels, strict=True)
    )
    return value, first, second


def population_optimum(f: Loss, u: Array, sides: tuple[Array, Array], rule: LabelRule) -> Array:
    """t = beta s of every response, [P, G], where the loss over all pairs is least; with no meaning in its mean."""
    levels = levels_of(u, sides)
    mass = torch.from_numpy(chosen_mass(levels, rule))
    at = minimum(f, mass, torch.from_numpy(levels.level - levels.level.mean(axis=1, keepdims=True)))
    lower = np.take_along_axis(at.numpy(), levels.place, axis=1)
    upper = np.take_along_axis(at.numpy(), levels.place + 1, axis=1)
    return lower + levels.share * (upper - lower)


def minimum(f: Loss, mass: Tensor, start: Tensor) -> Tensor:
    """The minimum over t [P, K] of Σ_ij mass_ij f(t_i - t_j), by Newton's method with a damping that follows.

    Raises FlatError where it has none.
    """
    at, identity = start.clone(), torch.eye(mass.shape[-1], dtype=torch.float64)
    damping = torch.full((len(mass), 1, 1), 1e-3, dtype=torch.float64)
    value, slope, curvature = problem_at(f, mass, at)
    own, whole = (mass + mass.transpose(1, 2)).sum(dim=2).sqrt(), mass.sum(dim=(1, 2))
    failures = 0
    for _ in range(STEPS):
        system = curvature / own[:, :, None] / own[:, None, :] + damping * identity
        step = -torch.linalg.solve(system, (slope / own).unsqueeze(2))[..., 0] / own
        if float(step.abs().max()) < CLOSE:
            break
        tried = at + step.clamp(-LONGEST, LONGEST)
        new = problem_at(f, mass, tried)
        better = new[0] < value
        gained = bool((value - new[0] > LEAST_GAIN * whole).any())
        failures = 0 if gained else failures + 1
        if failures > PATIENCE:
            break
        at = torch.where(better[:, None], tried, at)
        value = torch.where(better, new[0], value)
        slope = torch.where(better[:, None], new[1], slope)
        curvature = torch.where(better[:, None, None], new[2], curvature)
        damping = torch.where(better[:, None, None], damping / 5, damping * 5).clamp(1e-10, 1e9)
    if float(at.max() - at.min()) > FLAT:
        raise FlatError
    return at


def problem_at(f: Loss, mass: Tensor, at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The sum [P], its gradient [P, K], and its Hessian [P, K, K] with negative curvature left out."""
    value, first, second = derivatives(f, at[:, :, None] - at[:, None, :])
    pull = mass * first
    bend = mass * second.clamp(min=0)
    bend = bend + bend.transpose(1, 2)
    hessian = torch.diag_embed(bend.sum(dim=2)) - bend
    return (mass * value).sum(dim=(1, 2)), pull.sum(dim=2) - pull.sum(dim=1), hessian
