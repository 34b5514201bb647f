"""Policies against a proxy that need no training: best-of-n, and the best under a divergence.

Shapes: Q policies of each run, R runs, P prompts, G responses to each.
"""

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from simulator.common.signals import stop_if_requested
from simulator.divergences import Divergence
from simulator.divergences.optimum import optimum
from simulator.engine.checkpoints import curve_rows, save_ledger
from simulator.engine.recorder import Recorder
from simulator.measurement.best_of_n import kl_bound, log_best_of_n
from simulator.measurement.gibbs import gibbs
from simulator.measurement.ladder import TEMPERATURES
from simulator.measurement.ledger import is_logratio
from simulator.methods.algorithms.best_of_n_sampled import best_of_pool
from simulator.proxies.scores import Proxy, scorer_of
from simulator.settings.run import Run
from simulator.worlds.listing import Scorer
from simulator.worlds.protocol import ListedWorld, World, as_listed
from simulator.worlds.sampled import SampledWorld

Array = np.ndarray
ClosedForm = Callable[[Tensor, Tensor, Tensor], Tensor]

LOWEST = -1e4  # nats; stands for the logarithm of 0
# Columns that are infinite, or not defined, where a policy never gives a response.
INFINITE = ("mu_squared", "mu_squared_raised", "mu_squared_suppressed", "forward_kl")


def measure_closed_form(
    runs: Sequence[Run], world: ListedWorld, scorer: Scorer, law: ClosedForm, strengths: Sequence[float]
) -> dict[str, Array]:
    """Every column, [Q, R] each, of policies whose law follows from a score and a strength.

    law(log pi_ref [P, G], scores [P, G], strength [1]): log pi, [1, P, G].
    """
    measured: dict[str, Array] = {}
    for number, run in enumerate(runs):
        one = scorer.rows(slice(number, number + 1))
        for row, strength in enumerate(strengths):
            stop_if_requested()
            log_probs = law(
                world.reference_log_probs, one.tables[0], torch.from_numpy(np.array([strength])).to(one.tables.device)
            )
            for name, value in world.measure_distribution(log_probs, run.settings.data, one).items():
                measured.setdefault(name, np.empty((len(strengths), len(runs))))[row, number] = value.item()
    return measured


def repeated(values: Array, runs: Sequence[Run]) -> Array:
    """Values [Q] for each run, [Q, R]."""
    return np.repeat(values[:, None], len(runs), axis=1)


def best_of_n_rows(
    runs: Sequence[Run], world: World, proxies: Sequence[Proxy], recorder: Recorder, *, rungs: Sequence[int], pool: int
) -> pd.DataFrame:
    """The records of best-of-n against each run's proxy, for these n, which rise.

    n stands in the column `n` and is the step, too. pool: responses to each prompt, where they are not listed.
    """
    n, scorer = repeated(np.array(rungs, dtype=float), runs), scorer_of(world, proxies)
    if world.lists_responses:
        measured, source = measure_closed_form(runs, as_listed(world), scorer, log_best_of_n, rungs), "exact"
    else:
        measured = best_of_pool(cast(SampledWorld, world), scorer, pool, rungs)
        measured, source = measured | {"kl": kl_bound(n)}, "bound"
    recorder.progress(1)
    save_ledger(runs, rungs, measured, recorder.save_table)
    measured |= {"n": n, "kl_bound": kl_bound(n)}
    return curve_rows(runs, rungs, measured, np.full(len(runs), -1), kl_source=source)


def gibbs_rows(
    runs: Sequence[Run], world: World, proxies: Sequence[Proxy], recorder: Recorder, divergence: Divergence
) -> pd.DataFrame:
    """The records of the best policies against each run's proxy under a divergence, from a large tau to a small one."""
    scorer = scorer_of(world, proxies)
    strengths = TEMPERATURES if divergence.name == "kl" else np.geomspace(*divergence.strengths, len(TEMPERATURES))
    measured = measure_closed_form(runs, as_listed(world), scorer, law_of(divergence), strengths.tolist())
    if divergence.reaches_zero:
        measured = {name: values for name, values in measured.items() if name not in INFINITE}
        measured |= {name: np.full_like(values, np.nan) for name, values in measured.items() if is_logratio(name)}
    measured["tau"] = repeated(strengths, runs)
    recorder.progress(1)
    steps = list(range(1, len(strengths) + 1))
    save_ledger(runs, steps, measured, recorder.save_table)
    return curve_rows(runs, steps, measured, np.full(len(runs), -1), kl_source=world.kl_source)


def law_of(divergence: Divergence) -> ClosedForm:
    """The best policies under a divergence: log pi, LOWEST where pi is 0."""
    if divergence.name == "kl":
        return gibbs

    def law(reference: Tensor, scores: Tensor, strength: Tensor) -> Tensor:
        log_probs = optimum(divergence, reference, scores, strength)
        return log_probs.masked_fill(log_probs == -torch.inf, LOWEST)

    return law
