"""Best-of-n in a sampled world: unbiased estimates from a pool of responses to each measured prompt.

Shapes: n measured prompts, N responses of the pool to each, b of the baseline, Q values of n, R runs.

What is said of one response (gold, win rate, proxy, length) is averaged over all subsets of the pool as
simulator/measurement/best_of_n.py says, at each prompt. The standard errors hold the chance in the pool by the
jackknife, and that in the baseline by influence functions; see simulator/worlds/reference_sample.py. Of the win rate
they leave out what the baseline does to the weights of content and fluency, which moves it much less than its own
responses do.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from simulator.common.signals import stop_if_requested
from simulator.measurement.best_of_n import estimate, subset_weights
from simulator.measurement.estimators import placement
from simulator.networks.sampling import sample_blocks
from simulator.worlds.listing import Scorer
from simulator.worlds.reference_sample import gold_score
from simulator.worlds.sampled import SampledWorld

Array = np.ndarray

PARTS = ("content", "fluency", "gold of length")
CHUNK = 1024  # responses of a pool that are drawn and read together


def read_pool(world: SampledWorld, scorer: Scorer, size: int) -> tuple[dict[str, Array], Array]:
    """What is said of `size` responses of the reference to each measured prompt, and what each proxy says.

    The parts of gold, score (gold before its mean is taken off), win_rate and length, [n, N] each; the proxies' scores
    [R, n, N].
    """
    prompts, runs = world.measurement.prompts, len(scorer.tables)
    own = world.measurement.baseline.parts.mean(dim=-1)
    others = gold_score(world.measurement.baseline.parts).sort(dim=-1).values
    names = (*PARTS[: len(own)], "score", "win_rate", "length")
    said = {name: np.empty((len(prompts), size)) for name in names}
    proxies = np.empty((runs, len(prompts), size))
    for row in range(len(prompts)):
        for first in range(0, size, CHUNK):
            here = slice(first, min(first + CHUNK, size))
            drawn = draw_chunk(world, row, first // CHUNK)[:, : here.stop - first]
            parts = world.measurement.gold_parts(prompts[row : row + 1], drawn.unsqueeze(0))[:, 0, 0]
            scores = gold_score(parts)
            found = {
                **{name: part - mean for name, part, mean in zip(PARTS, parts, own[:, row], strict=False)},
                "score": scores,
                "win_rate": placement(others[row], scores),
                "length": (drawn[0] >= 0).sum(dim=-1).double(),
            }
            for name, value in found.items():
                said[name][row, here] = value.cpu().numpy()
            asked = world.measurement.rows[row : row + 1].expand(runs, -1)
            proxies[:, row, here] = scorer.of(asked, drawn.expand(runs, -1, -1, -1))[:, 0].cpu().numpy()
    return said, proxies


def draw_chunk(world: SampledWorld, row: int, number: int) -> Tensor:
    """CHUNK responses of the reference to a measured prompt, [1, CHUNK, T], from a stream of their own."""
    return sample_blocks(
        world.reference.unsqueeze(0),
        world.architecture,
        world.measurement.prompts[row : row + 1],
        temperature=torch.ones(1, CHUNK, device=world.measurement.prompts.device),
        length=world.measurement.baseline.responses.shape[2],
        end=world.end,
        seed=world.measurement.seed,
        purpose=f"pool {int(world.measurement.rows[row])} {number}",
        at_once=CHUNK,
    )


def error(world: SampledWorld, means: Array, variances: Array, others: Array | float) -> float:
    """The standard error of the mean over prompts of `means` [n] with `variances` [n]; see
    simulator/measurement/estimators.py.

    others: what each response of the baseline does to the mean of its prompt, [n, b].
    """
    prompts = len(means)
    influence = np.broadcast_to(others, (prompts, world.listing.reference_probs.shape[1]))
    within = variances + influence.var(axis=1, ddof=1) / influence.shape[1]
    between = (means + influence.mean(axis=1)).var(ddof=1) if prompts > 1 else 0.0
    return float(
        np.sqrt(
            (world.measurement.sampling_fraction * within.mean() + (1 - world.measurement.sampling_fraction) * between)
            / prompts
        )
    )


def best_of_pool(world: SampledWorld, scorer: Scorer, size: int, ladder: Sequence[int]) -> dict[str, Array]:
    """Estimates and standard errors for the best of each n of `ladder` by each proxy, [Q, R] each."""
    said, proxies = read_pool(world, scorer, size)
    own, tables, drifts = (
        each.cpu().numpy() for each in (gold_score(world.measurement.baseline.parts), scorer.tables, scorer.drifts)
    )
    means = own.mean(axis=1, keepdims=True)
    measured, baseline = dict[str, Array](), world.measurement.baseline
    for run, scores in enumerate(proxies):
        stop_if_requested()
        order = scores.argsort(axis=1, kind="stable")
        sorted_said = {name: np.take_along_axis(value, order, axis=1) for name, value in said.items()}
        sorted_said["proxy"] = np.take_along_axis(scores, order, axis=1)
        for row, n in enumerate(ladder):
            found = {name: estimate(value, n) for name, value in sorted_said.items()}
            found["gold"] = found["score"][0] - means[:, 0], found["score"][1]
            each = [float(found[name][0].mean()) for name in PARTS if name in found]
            moved = baseline.unit_influence(each)
            part = baseline.centred_parts[1] + baseline.unit_influence(baseline.fluency_alone(each[1]))
            others: dict[str, Array | float] = {
                "gold": -(own - means) - moved.cpu().numpy(),
                "fluency": -part.cpu().numpy(),
                "win_rate": -share_below(own, sorted_said["score"], subset_weights(size, n)),
                "proxy": float(found["proxy"][0].mean()) * drifts[run] - tables[run],
                "length": 0.0,
            }
            for name, influence in others.items():
                pair = {name: found[name][0].mean(), f"{name}_se": error(world, *found[name], influence)}
                for column, value in pair.items():
                    measured.setdefault(column, np.empty((len(ladder), len(proxies))))[row, run] = value
    return measured


def share_below(own: Array, golds: Array, weights: Array) -> Array:
    """How likely the best of n has less gold than each response of the baseline, centred at each prompt, [n, b].

    own [n, b] is the baseline's gold; golds [n, N] and weights [N] are those of the pool, sorted by the proxy.
    """
    rows = []
    for gold, others in zip(golds, own, strict=True):
        order = gold.argsort(kind="stable")
        cumulative = np.concatenate([[0.0], weights[order].cumsum()])
        ends = [np.searchsorted(gold[order], others, side=side) for side in ("left", "right")]
        rows.append((cumulative[ends[0]] + cumulative[ends[1]]) / 2)
    table = np.stack(rows)
    return table - table.mean(axis=1, keepdims=True)
