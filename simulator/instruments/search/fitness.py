"""How good a loss is in a world: gold of its policies at fixed KL, as far as it falls short of the best there is.

For each draw of pairs, the policies are points (KL, gold), one for each beta. Between them, and the reference at
(0, 0), gold is interpolated in the square root of KL by a monotone cubic, as analysis/statistics has it. The regret of
a loss is the mean over fixed levels of KL, draws, and five moments late in training, of

    G*(KL) - gold(KL),

where G* is the most gold that any policy of that KL has (pi ∝ pi_ref exp(c gold)). Where a loss does not reach a level
its gold there is that of the reference, 0.

Levels are set once, by the logistic loss: the KL that it reaches in every world and draw at each of these moments,
times 0.1, 0.3, 0.5, 0.7 and 0.9. Their mean is the midpoint rule for the mean over KL from 0 to that reach, by which
sweeps compare losses.

Moments: where training ends is a matter of chance, in that masses that differ in the fourth digit end in policies that
differ in gold by more than losses do. The mean over the last two fifths of training has half of that noise.

All losses have the same pairs, batches and starts. Shapes: R runs, P prompts, G responses, K masses, L levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from simulator.engine.gradient_steps import advance, start
from simulator.engine.problem import TrainingProblem
from simulator.instruments.regret.tilt import gold_at
from simulator.instruments.search.family import NAMES, Family
from simulator.methods.algorithms.pairwise_training import make_problem
from simulator.networks.compute_mode import one_thread
from simulator.objectives.stacked_losses import ObjectiveSlice
from simulator.preferences.labelling import preferences
from simulator.preferences.pairs import Preferences, stack_preferences
from simulator.settings.run import Run
from simulator.worlds.build import build_world
from simulator.worlds.protocol import ListedWorld, as_listed

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)  # of the KL that the logistic loss reaches
LEAST_KL = 1e-9  # nats; less is the reference
MOMENTS = (0.6, 0.7, 0.8, 0.9, 1.0)  # of training, at which policies are measured
MEASURED = 64  # policies at once, whose laws are held

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Place:
    """A world in which losses are tried.

    runs: those of one loss, for each beta and seed. pairs: of these runs.
    """

    seed: int
    world: ListedWorld
    runs: Sequence[Run]
    pairs: Preferences


@dataclass(frozen=True, kw_only=True)
class Point:
    """Where a policy is: KL in nats, gold in deviations."""

    kl: float
    gold: float


Paths = list[list[Point]]  # of one loss: at each moment, in the order of its runs


def place_of(seed: int, runs: Sequence[Run]) -> Place:
    """The world of some runs of one loss, with their pairs."""
    with one_thread(), torch.no_grad():
        world = as_listed(build_world(runs[0].settings))
        return Place(seed=seed, world=world, runs=runs, pairs=preferences(runs, world, None))


def copied(place: Place, times: int) -> Preferences:
    """The pairs of so many losses."""
    return stack_preferences([place.pairs.run(number) for _ in range(times) for number in range(len(place.runs))])


def points_of_masses(place: Place, family: Family, masses: Array) -> list[Paths]:
    """The policies of losses with these masses [n, K]."""
    each, count = len(place.runs), len(masses)
    columns = torch.from_numpy(np.repeat(masses, each, axis=0)).float()
    part = ObjectiveSlice(
        objective=family.objective,
        rows=each * count,
        hyperparameters={name: columns[:, [number]] for number, name in enumerate(NAMES)},
    )
    runs = [*place.runs] * count
    problem = replace(make_problem(runs, place.world, copied(place, count)), parts=(part,))
    return trained(place, problem, count)


def points_of_runs(place: Place, runs: Sequence[Run]) -> list[Paths]:
    """The policies of several known losses, whose runs are as many as the place has, and in their order."""
    count = len(runs) // len(place.runs)
    return trained(place, make_problem(runs, place.world, copied(place, count)), count)


def trained(place: Place, problem: TrainingProblem, losses: int) -> list[Paths]:
    """Train from the reference, and measure exactly at each moment."""
    world, each, steps = place.world, len(place.runs), place.runs[0].steps
    found: list[Paths] = [[] for _ in range(losses)]
    with one_thread():
        with torch.no_grad():
            state = start(world.policy_class.start, each * losses, problem)
        for moment in sorted({max(1, round(share * steps)) for share in MOMENTS}):
            with torch.enable_grad():
                state = advance(state, problem, moment - state.step)
            with torch.no_grad():
                points = [point for some in state.parameters.split(MEASURED) for point in measured(world, some)]
            for number, paths in enumerate(found):
                paths.append(points[number * each : (number + 1) * each])
    return found


def measured(world: ListedWorld, parameters: Tensor) -> list[Point]:
    """KL and gold of policies [R, D], as means over prompts."""
    reference, gold = world.reference_log_probs, torch.from_numpy(world.listing.gold)
    log_probs = world.policy_class.measured_laws(parameters, alone=False)
    law = log_probs.exp()
    kl = (law * (log_probs - reference)).sum(dim=-1).mean(dim=-1)
    found = (law * gold).sum(dim=-1).mean(dim=-1)
    return [Point(kl=one, gold=other) for one, other in zip(kl.tolist(), found.tolist(), strict=True)]


def by_draw(points: Sequence[Point], runs: Sequence[Run]) -> list[list[Point]]:
    """The points of one loss, at one moment, by the seed of their runs."""
    seeds = dict.fromkeys(run.seed for run in runs)
    return [[point for point, run in zip(points, runs, strict=True) if run.seed == seed] for seed in seeds]


def gold_at_levels(points: Sequence[Point], levels: Array) -> Array:
    """Gold [L] of the frontier through the reference and some points; 0 beyond the farthest of them."""
    known = {0.0: [0.0]}
    for point in points:
        if np.isfinite(point.kl) and np.isfinite(point.gold) and point.kl > LEAST_KL:
            known.setdefault(float(np.sqrt(point.kl)), []).append(point.gold)
    if len(known) < 2:
        return np.zeros(len(levels))
    at = np.array(sorted(known))
    gold = [float(np.mean(known[distance])) for distance in at]
    return np.nan_to_num(PchipInterpolator(at, gold, extrapolate=False)(np.sqrt(levels)))


def oracle_at(place: Place, levels: Array) -> Array:
    """The most gold that any policy of these KL [L] has."""
    with one_thread(), torch.no_grad():
        gold = torch.from_numpy(place.world.listing.gold)
        return np.array(gold_at(place.world.reference_log_probs.cpu(), gold, gold, levels.tolist()))


def regret(paths: Paths, runs: Sequence[Run], levels: Array, oracle: Array) -> float:
    """The mean over levels, draws and moments of what one loss falls short by, in deviations of gold."""
    draws = [draw for points in paths for draw in by_draw(points, runs)]
    return float(np.mean([oracle - gold_at_levels(draw, levels) for draw in draws]))


def levels_of(logistic: Sequence[tuple[Paths, Sequence[Run]]]) -> Array:
    """The levels of KL [L], in nats, from the policies of the logistic loss in each world."""
    draws = [draw for paths, runs in logistic for points in paths for draw in by_draw(points, runs)]
    return min(max(point.kl for point in draw) for draw in draws) * np.array(SHARES)
